internal import Glibc

/// This process: its environment, signals and end.
package enum CurrentProcess {
  /// A variable of the environment, `nil` where it is not set.
  package static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// All variables, as `NAME=value`.
  package static func environment() throws(SystemError) -> [String] {
    let content = try Files.read("/proc/self/environ", limit: 16 << 20) ?? []
    return content.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The path that the program was started by, as its caller wrote it (argv[0]).
  package static var programPath: String { CommandLine.arguments.first ?? "" }

  /// Whether standard output is a terminal.
  package static var writesToTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Makes writing to a pipe without reader an error (EPIPE) instead of the end of this process.
  package static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// Ends the process at once.
  package static func exit(_ status: Int32) -> Never {
    Glibc.exit(status)
  }
}
