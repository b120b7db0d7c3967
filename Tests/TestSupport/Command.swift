internal import Foundation
internal import Linux

/// The exit status and output of a command.
package struct CommandResult: Sendable, CustomStringConvertible {
  package let command: [String]
  /// The exit code, or 128 plus the number of the signal that ended it.
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

  /// The result itself if the command succeeded, else an error.
  @discardableResult
  package func succeeded() throws -> CommandResult {
    guard status == 0 else { throw CommandFailed(result: self) }
    return self
  }
}

/// The error of a command that failed.
package struct CommandFailed: Error, CustomStringConvertible {
  package let result: CommandResult
  package var description: String { result.description }
}

/// Runs a command with only PATH and `environment` as its environment; ETIMEDOUT if it runs longer than `limit`.
package func run(
  _ command: [String], environment: [String: String] = [:], input: String = "", limit: Duration = .seconds(60)
) throws -> CommandResult {
  let scratch = try TemporaryDirectory()
  // `Program` does not capture standard error separately, so the shell redirects it.
  let script = #"exec 2>"$0" "$@""#
  let outcome = try Program.run(
    "/bin/sh", ["-c", script, scratch.file("errors")] + command,
    environment: commandEnvironment(environment).map { "\($0.key)=\($0.value)" },
    input: Array(input.utf8), limit: limit)
  return CommandResult(
    command: command, status: outcome.status, output: String(decoding: outcome.output, as: UTF8.self),
    errors: try String(contentsOfFile: scratch.file("errors"), encoding: .utf8))
}

/// PATH and the given variables, without the test's own environment.
func commandEnvironment(_ environment: [String: String]) -> [String: String] {
  ["PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"].merging(environment) { $1 }
}
