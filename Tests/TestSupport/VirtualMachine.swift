package import Testing

internal import Foundation
internal import JSON
internal import Linux
internal import Synchronization

/// A small virtual machine with Debian's kernel, whose modules have features that this machine's kernel may lack: VLAN
/// filtering, wireguard, tunnels, dummy and VLAN devices. It needs no root and ends with the test process.
///
/// The kernel loads modules on demand. One command runs at a time.
package final class VirtualMachine: TestHost {
  /// The virtual machine of this test process, started at its first use.
  package static let shared = Result { try VirtualMachine() }

  private let emulator: RunningProgram
  private let scratch: TemporaryDirectory
  /// Held while a command runs.
  private let line = Mutex(())

  private init() throws {
    scratch = try TemporaryDirectory()
    try VirtualMachineImage.write(to: scratch.file("image"))
    try TestSupport.run(["mkfifo", scratch.file("line.in"), scratch.file("line.out")]).succeeded()
    emulator = try RunningProgram(
      [
        "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-no-user-config", "-display",
        "none", "-no-reboot", "-kernel", VirtualMachineImage.kernel, "-initrd", scratch.file("image"),
        // The first serial line has the kernel's messages, the second one commands and answers.
        "-append", "console=ttyS0 quiet panic=-1", "-serial", "file:\(scratch.file("console"))",
        "-chardev", "pipe,id=line,path=\(scratch.file("line"))", "-serial", "chardev:line",
      ], limit: .seconds(3600))
    // The first answer comes without a request.
    _ = try exchange("", limit: .seconds(600))
  }

  package func execute(
    _ command: [String], environment: [String: String], input: String, limit: Duration
  ) throws -> CommandResult {
    let variables = environment.map { "\($0.key)=\(quoted($0.value))" }
    let words = ["timeout", String(limit.components.seconds)] + command.map(quoted)
    let script = """
      echo \(Data(input.utf8).base64EncodedString()) | base64 -d >/tmp/input
      \((variables + words).joined(separator: " ")) </tmp/input
      """
    // The virtual machine may be many times slower than this one; it ends commands that exceed the limit itself.
    let line = try exchange(Data(script.utf8).base64EncodedString() + "\n", limit: limit + .seconds(60))
    guard let answer = try JSONValue(parsing: Array(line.utf8)).object, case .integer(let status) = answer["status"]
    else { throw failure("an answer that says nothing: \(line)") }
    return CommandResult(
      command: command, status: Int32(clamping: status), output: text(answer["output"]), errors: text(answer["errors"]))
  }

  /// Sends one line and waits for the answer of one line.
  private func exchange(_ request: String, limit: Duration) throws -> String {
    try line.withLock { _ in
      guard emulator.isRunning else { throw failure("it does not run") }
      let script = #"cat >"$0.in" && head -n 1 <"$0.out""#
      let result = Result {
        try TestSupport.run(["/bin/sh", "-ec", script, scratch.file("line")], input: request, limit: limit)
      }
      guard case .success(let answer) = result, answer.status == 0, !answer.output.isEmpty else {
        throw failure("no answer: \(result)")
      }
      return answer.output
    }
  }

  private func failure(_ problem: String) -> VirtualMachineFailed {
    let console = (try? String(contentsOfFile: scratch.file("console"), encoding: .utf8)) ?? ""
    return VirtualMachineFailed(problem: problem, emulator: emulator.output, console: String(console.suffix(4000)))
  }

  /// A word quoted for the shell.
  private func quoted(_ word: String) -> String {
    "'" + word.replacingOccurrences(of: "'", with: #"'\''"#) + "'"
  }

  private func text(_ encoded: JSONValue?) -> String {
    String(decoding: Data(base64Encoded: encoded?.string ?? "") ?? Data(), as: UTF8.self)
  }
}

/// The error of a virtual machine that did not start or has ended, with its output and its emulator's.
package struct VirtualMachineFailed: Error, CustomStringConvertible {
  package let problem: String
  package let emulator: String
  package let console: String

  package var description: String { "the virtual machine: \(problem)\n\(emulator)\n\(console)" }
}

/// The reason why a test that needs the virtual machine cannot run.
package struct VirtualMachineRequired: Error, CustomStringConvertible {
  package var description: String {
    "qemu-system-x86_64 or \(VirtualMachineImage.kernel) is missing: `hack/packages --tests` brings them"
  }
}

extension Trait where Self == ConditionTrait {
  /// Skips a test or suite if there is no virtual machine; if CAUSEWAY_REQUIRE_ROOT is 1, it fails instead.
  package static var requiresVirtualMachine: Self {
    .enabled("needs a virtual machine, for what this machine's kernel lacks") {
      let files = [VirtualMachineImage.kernel, "/usr/bin/qemu-system-x86_64"]
      if files.allSatisfy(FileManager.default.fileExists) { return true }
      if RootRequired.isAskedFor { throw VirtualMachineRequired() }
      return false
    }
  }
}
