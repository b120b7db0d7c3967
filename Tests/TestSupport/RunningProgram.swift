internal import Foundation
internal import Linux
internal import Synchronization

/// A program that runs beside a test; killed when the owner goes, or the test process.
package final class RunningProgram: Sendable {
  package let processID: Int32
  private let command: [String]
  private let scratch: TemporaryDirectory
  private let ending: Ending

  /// Longer than any test takes.
  package static let limit: Duration = ScaleTests.areAskedFor ? .seconds(1800) : .seconds(900)

  /// How the program ended, once it has.
  private final class Ending: Sendable {
    let result = Mutex<Result<Program.Outcome, SystemError>?>(nil)
  }

  /// Starts a command with nothing but PATH and `environment` around it; it is killed after `limit`.
  package init(_ command: [String], environment: [String: String] = [:], limit: Duration = RunningProgram.limit) throws
  {
    let scratch = try TemporaryDirectory()
    let ending = Ending()
    // The parent-death signal comes when the thread ends that started the program: this one lives as long as it.
    let script = #"echo $$ >"$0/pid.new" && mv "$0/pid.new" "$0/pid" && exec "$@" >"$0/log" 2>&1"#
    let arguments = ["--pdeathsig", "KILL", "/bin/sh", "-c", script, scratch.path] + command
    let variables = commandEnvironment(environment).map { "\($0.key)=\($0.value)" }
    Thread.detachNewThread {
      let result = Result { () throws(SystemError) in
        try Program.run("/usr/bin/setpriv", arguments, environment: variables, input: [], limit: limit)
      }
      ending.result.withLock { $0 = result }
    }
    var processID: Int32?
    _ = try eventually(within: .seconds(60)) {
      let text = try Files.read(scratch.file("pid"), limit: 64) ?? []
      processID = Int32(String(decoding: text.dropLast(), as: UTF8.self))
      return processID != nil
    }
    guard let processID else { throw ProgramNotStarted(command: command) }
    self.processID = processID
    self.command = command
    self.scratch = scratch
    self.ending = ending
  }

  deinit { stop() }

  /// Kills the program where it still runs, and waits for its end.
  package func stop() {
    signal(SIGKILL)
    _ = eventually { !isRunning }
  }

  /// What it has written so far, to standard output and standard error.
  package var output: String { (try? String(contentsOfFile: scratch.file("log"), encoding: .utf8)) ?? "" }

  package var isRunning: Bool { ending.result.withLock { $0 == nil } }

  /// Lines `NAME: VALUE` of /proc/PID/status (proc(5)), of every thread; threads that end meanwhile may be missing.
  package func threadStatus(_ names: String...) throws -> [String] {
    let script = #"cat /proc/"$0"/task/*/status 2>/dev/null || test -d /proc/"$0""#
    return try run(["/bin/sh", "-c", script, "\(processID)"]).succeeded().output.split(separator: "\n")
      .map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
      .filter { line in names.contains { line.hasPrefix("\($0): ") } }
  }

  /// Sends a signal where it still runs.
  package func signal(_ signal: Int32) {
    if isRunning { kill(processID, signal) }
  }

  /// The exit code, or 128 and the number of the signal that ended it; `nil` where it still runs after `limit`.
  package func exitStatus(within limit: Duration = .seconds(10)) throws -> Int32? {
    guard eventually(within: limit, { !isRunning }) else { return nil }
    return try ending.result.withLock { try $0?.get().status }
  }
}

/// A program that did not even begin.
package struct ProgramNotStarted: Error {
  package let command: [String]
}

extension TestNode {
  /// Starts a program in the node that runs until it is stopped.
  package func start(_ command: [String], environment: [String: String] = [:]) throws -> RunningProgram {
    try RunningProgram(enter + command, environment: environment)
  }
}

/// Asks again, every few milliseconds, until `condition` holds; false where it does not within `limit`.
///
/// - Parameter limit: less than the 30 seconds after which the agent looks unasked, so that what it does sooner it was
///   told of.
package func eventually(within limit: Duration = .seconds(20), _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = MonotonicTime.now + limit
  while true {
    if try condition() { return true }
    guard MonotonicTime.now < deadline else { return false }
    MonotonicTime.sleep(.milliseconds(2))
  }
}
