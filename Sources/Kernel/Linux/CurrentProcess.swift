internal import CLinux
internal import Glibc

/// The current process: its environment, signals, memory and exit.
package enum CurrentProcess {
  /// Reads a variable of the environment; `nil` if it is not set.
  package static func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
  }

  /// All variables of the environment at start, as `NAME=value` (`/proc/self/environ`).
  package static func environment() throws(SystemError) -> [String] {
    let content = try Files.read("/proc/self/environ", limit: 16 << 20) ?? []
    return content.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The path that the program was started by, as its caller wrote it (argv[0]).
  package static var programPath: String { CommandLine.arguments.first ?? "" }

  /// The process ID in this process's PID namespace (getpid(2)).
  package static var identifier: Int32 { getpid() }

  /// The file that this program was started from; `nil` if `/proc/self/exe` cannot be resolved.
  package static var executablePath: String? {
    guard let path = unsafe realpath("/proc/self/exe", nil) else { return nil }
    defer { unsafe free(path) }
    return unsafe String(cString: path)
  }

  /// Whether standard output is a terminal.
  package static var writesToTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

  /// Opens `/dev/null` in place of each closed standard descriptor, so that no file opened later gets its number.
  ///
  /// Reading from or writing to these placeholders fails.
  package static func fillStandardDescriptors() {
    for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) == -1 {
      // The lowest free number is this one.
      _ = (try? OwnedDescriptor.open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY))?.release()
    }
  }

  /// Sets the file mode creation mask in place of the inherited one (umask(2)).
  package static func setCreationMask(_ mask: UInt32) { _ = umask(mask) }

  /// Ignores SIGPIPE, so that writing to a pipe without a reader fails with EPIPE instead of ending this process.
  package static func ignoreBrokenPipes() {
    signal(SIGPIPE, SIG_IGN)
  }

  /// Limits the memory that the allocator keeps, for a program that runs for years (mallopt(3)).
  ///
  /// All threads share one heap, and large blocks are returned to the kernel when they are freed. This must be called
  /// before any thread starts.
  package static func keepMemorySmall() {
    _ = mallopt(M_ARENA_MAX, 1)
    // A fixed threshold: by default it grows to the largest block that was ever freed.
    _ = mallopt(M_MMAP_THRESHOLD, 128 << 10)
    _ = mallopt(M_TRIM_THRESHOLD, 512 << 10)
  }

  /// Ends the process with this exit status (exit(3)).
  package static func exit(_ status: Int32) -> Never {
    Glibc.exit(status)
  }

  /// Returns freed memory to the kernel, for use after a rare large task (malloc_trim(3)).
  package static func returnFreeMemory() { clinux_return_free_memory() }
}
