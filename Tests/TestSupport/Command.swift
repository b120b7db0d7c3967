internal import Foundation
internal import Linux

/// What a command left behind.
package struct CommandResult: Sendable, CustomStringConvertible {
  package let command: [String]
  /// The exit code, or 128 and the number of the signal that ended it.
  package let status: Int32
  package let output: String
  package let errors: String

  package init(command: [String], status: Int32, output: String, errors: String) {
    self.command = command
    self.status = status
    self.output = output
    self.errors = errors
  }

  package var description: String {
    "\(command.joined(separator: " ")): status \(status)\n\(output)\(errors)"
  }

  /// The same where the command succeeded.
  @discardableResult
  package func succeeded() throws -> CommandResult {
    guard status == 0 else { throw CommandFailed(result: self) }
    return self
  }
}

/// A command that should have succeeded.
package struct CommandFailed: Error, CustomStringConvertible {
  package let result: CommandResult
  package var description: String { result.description }
}

/// Runs a command with nothing but PATH and `environment` around it; ETIMEDOUT where it takes longer than `limit`.
package func run(
  _ command: [String], environment: [String: String] = [:], input: String = "", limit: Duration = .seconds(60)
) throws -> CommandResult {
  let scratch = try TemporaryDirectory()
  // `Program` leaves standard error alone, so the shell puts it aside.
  let script = #"exec 2>"$0" "$@""#
  let outcome = try Program.run(
    "/bin/sh", ["-c", script, scratch.file("errors")] + command,
    environment: commandEnvironment(environment).map { "\($0.key)=\($0.value)" },
    input: Array(input.utf8), limit: limit)
  return CommandResult(
    command: command, status: outcome.status, output: String(decoding: outcome.output, as: UTF8.self),
    errors: try String(contentsOfFile: scratch.file("errors"), encoding: .utf8))
}

/// PATH and what a command is given besides; nothing of the test's own environment.
func commandEnvironment(_ environment: [String: String]) -> [String: String] {
  ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"].merging(environment) { $1 }
}
