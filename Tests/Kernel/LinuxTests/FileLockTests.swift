import Glibc
import Linux
import Testing
import TestSupport

/// After a release these tests wait for the lock: a program that another test starts holds copies of our
/// descriptors until exec(2).
@Suite struct FileLockTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.file("lock") }

  init() throws { directory = try TemporaryDirectory() }

  @Test func oneHolderAtATime() throws {
    #expect(try !FileLock.isHeldExclusively(path))
    do {
      let lock = try FileLock(path, waitingAtMost: .zero)
      #expect(try FileLock.isHeldExclusively(path))
      let started = MonotonicTime.now
      let other = #expect(throws: SystemError.self) { _ = try FileLock(path, waitingAtMost: .milliseconds(50)) }
      #expect(other?.errno == EWOULDBLOCK)
      #expect(MonotonicTime.now - started >= .milliseconds(50))
      _ = lock
    }
    #expect(try eventually { try !FileLock.isHeldExclusively(path) })
    _ = try FileLock(path, waitingAtMost: .seconds(5))
  }

  @Test func sharedHoldersAndAChangeOfMode() throws {
    let first = try FileLock(path, .shared, waitingAtMost: .zero)
    let second = try FileLock(path, .shared, waitingAtMost: .zero)
    #expect(try !FileLock.isHeldExclusively(path))
    #expect(throws: SystemError.self) { try first.change(to: .exclusive, waitingAtMost: .zero, subject: path) }
    _ = consume second
    try first.change(to: .exclusive, waitingAtMost: .seconds(5), subject: path)
    #expect(try FileLock.isHeldExclusively(path))
    try first.change(to: .shared, waitingAtMost: .zero, subject: path)
    #expect(try !FileLock.isHeldExclusively(path))
  }

  /// The kernel releases the lock of a killed holder, and a waiter gets it.
  @Test func aKilledHolderReleasesTheLock() throws {
    let holder = try RunningProgram(["flock", "--no-fork", path, "sleep", "60"])
    #expect(try eventually { try FileLock.isHeldExclusively(path) })
    #expect(FileLock.holder(path) == holder.processID && FileLock.holder(directory.file("none")) == nil)
    holder.signal(SIGKILL)
    _ = try FileLock(path, waitingAtMost: .seconds(5))
  }

  @Test func aWaiterGetsItsTurn() throws {
    let seen = directory.file("seen")
    let script = "until test -e \(seen); do sleep 0.01; done; sleep 0.3"
    let holder = try RunningProgram(["flock", path, "/bin/sh", "-c", script])
    #expect(try eventually { try FileLock.isHeldExclusively(path) })
    try Files.write(seen, [])
    _ = try FileLock(path, waitingAtMost: .seconds(10))
    _ = holder
  }

  @Test func directoriesCanBeLocked() throws {
    let lock = try FileLock(directory: directory.path, waitingAtMost: .zero)
    #expect(throws: SystemError.self) { _ = try FileLock(directory: directory.path, waitingAtMost: .zero) }
    #expect(throws: SystemError.self) { _ = try FileLock(directory: directory.file("none"), waitingAtMost: .zero) }
    _ = lock
  }

  /// A link in the directory must not lead to another file.
  @Test func linksAreNotFollowed() throws {
    try run(["ln", "-s", "/etc/hostname", path]).succeeded()
    let error = #expect(throws: SystemError.self) { _ = try FileLock(path, waitingAtMost: .zero) }
    #expect(error?.errno == ELOOP)
  }
}
