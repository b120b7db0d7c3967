internal import CLinux
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

  /// Its number among the processes of its PID namespace.
  package static var identifier: Int32 { getpid() }

  /// The file that this program was started from; `nil` where that can't be told.
  package static var executablePath: String? {
    guard let path = unsafe realpath("/proc/self/exe", nil) else { return nil }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// Whether standard output is a terminal.
  package static var writesToTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Puts something in the place of standard descriptors that are closed, so that no file or socket opened later is taken
  /// for one of them. To read or write there fails.
  package static func fillStandardDescriptors() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
      // The lowest free number is this one.
      _ = (try? OwnedDescriptor.open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY))?.release()
    }
  }

  /// Takes these bits from the modes of all that this process makes (umask(2)), whatever its caller had it take.
  package static func setCreationMask(_ mask: UInt32) { _ = umask(mask) }

  /// Makes writing to a pipe without reader an error (EPIPE) instead of the end of this process.
  package static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// Gives memory that was needed for a moment back, for a program that runs for years (mallopt(3)): the threads share
  /// one heap, where each would keep its own, and what is large is never kept. To be called before any thread starts.
  package static func keepMemorySmall() {
    _ = mallopt(M_ARENA_MAX, 1)
    // Setting it at all is what matters: else it grows to the largest piece that was ever freed.
    _ = mallopt(M_MMAP_THRESHOLD, 128 << 10)
    _ = mallopt(M_TRIM_THRESHOLD, 512 << 10)
  }

  /// Ends the process at once.
  package static func exit(_ status: Int32) -> Never {
    Glibc.exit(status)
  }

  /// Gives the kernel back what was freed: for the end of something large that happens seldom (malloc_trim(3)).
  package static func returnFreeMemory() { clinux_return_free_memory() }
}
