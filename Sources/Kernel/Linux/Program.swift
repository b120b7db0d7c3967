internal import CLinux
internal import Glibc

/// Runs other programs to their end.
package enum Program {
  /// The exit status and output of a program.
  package struct Outcome: Sendable {
    /// The exit code, or 128 plus the number of the signal that ended the program.
    package let status: Int32
    /// Text that the program wrote to standard output, and to standard error if both are collected.
    package let output: [UInt8]
  }

  /// Runs `path` with exactly these arguments and environment, writes `input` to it and collects its standard output.
  ///
  /// - Parameters:
  ///   - limit: how long the program may run.
  ///   - collectsErrors: whether standard error is collected with the output; otherwise the program inherits ours.
  /// - Throws: ETIMEDOUT if the program runs longer than `limit`, EFBIG if it writes more than 4 MiB. It is killed in
  ///   either case.
  package static func run(
    _ path: String, _ arguments: [String], environment: [String], input: [UInt8], limit: Duration,
    collectsErrors: Bool = false
  ) throws(SystemError) -> Outcome {
    // The program may leave its input unread.
    CurrentProcess.ignoreBrokenPipes()
    let stdin = try Pipe()
    let stdout = try Pipe()
    let process = try spawn(
      path, arguments, environment: environment, stdin: stdin.reader.number, stdout: stdout.writer.number,
      collectsErrors: collectsErrors)
    let deadline = MonotonicTime.now + limit
    do throws(SystemError) {
      let output = try exchange(
        path, input, writer: stdin.takeWriter(), reader: stdout.takeReader(), deadline: deadline)
      let status = try wait(for: process, path, deadline: deadline)
      let signal = status & 0x7F
      return Outcome(status: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: output)
    } catch {
      kill(process, SIGKILL)
      var status: Int32 = 0
      _ = try retryingOnInterrupt("wait for", path) { unsafe waitpid(process, &status, 0) }
      throw error
    }
  }

  /// Waits for a program that has closed its output; most programs end at that moment, but they need not.
  private static func wait(for process: pid_t, _ path: String, deadline: Duration) throws(SystemError) -> Int32 {
    var status: Int32 = 0
    var pause = Duration.microseconds(20)
    while true {
      let ended = try retryingOnInterrupt("wait for", path) { unsafe waitpid(process, &status, WNOHANG) }
      if ended == process { return status }
      guard MonotonicTime.now < deadline else { throw SystemError("wait for", path, errno: ETIMEDOUT) }
      MonotonicTime.sleep(pause)
      pause = min(pause * 3 / 2, .milliseconds(10))
    }
  }

  private static func spawn(
    _ path: String, _ arguments: [String], environment: [String], stdin: Int32, stdout: Int32, collectsErrors: Bool
  ) throws(SystemError) -> pid_t {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    unsafe posix_spawn_file_actions_adddup2(&actions, stdin, 0)
    unsafe posix_spawn_file_actions_adddup2(&actions, stdout, 1)
    if collectsErrors { unsafe posix_spawn_file_actions_adddup2(&actions, stdout, 2) }
    // A program must not inherit our ignored SIGPIPE, nor signals that our caller blocks: a program that waits for
    // SIGALRM would wait forever.
    var attributes = posix_spawnattr_t()
    unsafe posix_spawnattr_init(&attributes)
    defer { unsafe posix_spawnattr_destroy(&attributes) }
    var defaults = sigset_t()
    unsafe sigemptyset(&defaults)
    unsafe sigaddset(&defaults, SIGPIPE)
    unsafe posix_spawnattr_setsigdefault(&attributes, &defaults)
    var blocked = sigset_t()
    unsafe sigemptyset(&blocked)
    unsafe posix_spawnattr_setsigmask(&attributes, &blocked)
    unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var process = pid_t()
    let code = unsafe withCStrings([path] + arguments) { argv in
      unsafe withCStrings(environment) { envp in
        unsafe posix_spawn(&process, path, &actions, &attributes, argv, envp)
      }
    }
    guard code == 0 else { throw SystemError("run", path, errno: code) }
    return process
  }

  /// Writes the input and reads the output at the same time, so that neither side blocks on a full pipe.
  private static func exchange(
    _ path: String, _ input: [UInt8], writer: consuming OwnedDescriptor, reader: consuming OwnedDescriptor,
    deadline: Duration
  ) throws(SystemError) -> [UInt8] {
    var writer: OwnedDescriptor? = consume writer
    var pending = input[...]
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16384)
    var writing: Int32 = -1
    if let open = writer.take() {
      writing = open.number
      _ = fcntl(open.number, F_SETFL, O_NONBLOCK)
      writer = consume open
    }
    while true {
      if pending.isEmpty {
        writer = nil
        writing = -1
      }
      let left = (deadline - MonotonicTime.now).components
      let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
      guard milliseconds > 0 else { throw SystemError("wait for", path, errno: ETIMEDOUT) }
      var waits = [
        pollfd(fd: reader.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: writing, events: Int16(POLLOUT), revents: 0),
      ]
      let ready = try retryingOnInterrupt("wait for", path) {
        unsafe poll(&waits, nfds_t(waits.count), Int32(clamping: milliseconds))
      }
      if ready == 0 { continue }
      if waits[1].revents != 0 {
        let count = unsafe pending.withUnsafeBytes { unsafe write(writing, $0.baseAddress, $0.count) }
        // EPIPE is no error: a program need not read its whole input.
        if count >= 0 {
          pending = pending.dropFirst(count)
        } else if errno != EAGAIN && errno != EINTR {
          pending = []
        }
      }
      if waits[0].revents != 0 {
        let count = try retryingOnInterrupt("read from", path) {
          unsafe read(reader.number, &chunk, chunk.count)
        }
        if count == 0 { return output }
        output += chunk.prefix(count)
        guard output.count <= 4 << 20 else { throw SystemError("read from", path, errno: EFBIG) }
      }
    }
  }

  private static func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
  ) -> Result {
    var pointers = unsafe strings.map { unsafe strdup($0) } + [nil]
    defer { unsafe pointers.forEach { unsafe free($0) } }
    return unsafe pointers.withUnsafeMutableBufferPointer { unsafe body($0.baseAddress.unsafelyUnwrapped) }
  }
}
