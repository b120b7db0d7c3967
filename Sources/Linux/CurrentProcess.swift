internal import Glibc

/// This process: its environment, signals and end.
package enum CurrentProcess {
  /// A variable of the environment, `nil` where it is not set.
  package static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// Makes writing to a pipe without reader an error (EPIPE) instead of the end of this process.
  package static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// Ends the process at once.
  package static func exit(_ status: Int32) -> Never {
    Glibc.exit(status)
  }
}
