internal import Foundation
internal import Linux
internal import Synchronization

/// A program that runs beside a test; it is killed when the value is destroyed or the test process ends.
package final class RunningProgram: Sendable {
  package let processID: Int32
  private let command: [String]
  private let scratch: TemporaryDirectory
  private let ending: Ending

  /// A limit longer than any test.
  package static let limit: Duration = ScaleTests.areAskedFor ? .seconds(1800) : .seconds(900)

  /// Holds the program's outcome, which is `nil` while it runs.
  private final class Ending: Sendable {
    let result = Mutex<Result<Program.Outcome, SystemError>?>(nil)
  }

  /// Starts a command with only PATH and `environment` as its environment; it is killed after `limit`.
  package init(_ command: [String], environment: [String: String] = [:], limit: Duration = RunningProgram.limit) throws
  {
    let scratch = try TemporaryDirectory()
    let ending = Ending()
    // The parent-death signal is sent when the thread that started the program ends, so this thread waits for it.
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

  /// Kills the program if it still runs, and waits for its end.
  package func stop() {
    signal(SIGKILL)
    _ = eventually { !isRunning }
  }

  /// The program's output so far, from standard output and standard error.
  package var output: String { (try? String(contentsOfFile: scratch.file("log"), encoding: .utf8)) ?? "" }

  package var isRunning: Bool { ending.result.withLock { $0 == nil } }

  /// The lines `NAME: VALUE` of /proc/PID/status of every thread (proc(5)); threads that end meanwhile may be missing.
  package func threadStatus(_ names: String...) throws -> [String] {
    let script = #"cat /proc/"$0"/task/*/status 2>/dev/null || test -d /proc/"$0""#
    return try run(["/bin/sh", "-c", script, "\(processID)"]).succeeded().output.split(separator: "\n")
      .map { $0.split(whereSeparator: \.isWhitespace).joined(separator: " ") }
      .filter { line in names.contains { line.hasPrefix("\($0): ") } }
  }

  /// Sends a signal if the program still runs.
  package func signal(_ signal: Int32) {
    if isRunning { kill(processID, signal) }
  }

  /// The exit code, or 128 plus the number of the signal that ended it; `nil` if it still runs after `limit`.
  package func exitStatus(within limit: Duration = .seconds(10)) throws -> Int32? {
    guard eventually(within: limit, { !isRunning }) else { return nil }
    return try ending.result.withLock { try $0?.get().status }
  }
}

/// The error of a program that could not be started.
package struct ProgramNotStarted: Error {
  package let command: [String]
}

extension TestNode {
  /// Starts a program in the node, which runs until it is stopped.
  package func start(_ command: [String], environment: [String: String] = [:]) throws -> RunningProgram {
    try RunningProgram(enter + command, environment: environment)
  }
}

/// Checks every few milliseconds until `condition` holds; false if it does not within `limit`.
///
/// - Parameter limit: less than the 30 seconds of the agent's periodic pass, so that an earlier change proves that the
///   agent was notified.
package func eventually(within limit: Duration = .seconds(20), _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = MonotonicTime.now + limit
  while true {
    if try condition() { return true }
    guard MonotonicTime.now < deadline else { return false }
    MonotonicTime.sleep(.milliseconds(2))
  }
}
