import Glibc
import Linux
import Testing
import TestSupport

@Suite struct FilesTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func readsTheReplacedContent() throws {
    let path = directory.file("a")
    #expect(try Files.read(path, limit: 10) == nil)
    try Files.replace(path, with: [1, 2, 3])
    #expect(try Files.read(path, limit: 3) == [1, 2, 3])
    try Files.replace(path, with: [])
    #expect(try Files.read(path, limit: 0) == [])
    #expect(try Files.names(in: directory.path) == ["a"])
  }

  @Test func refusesAFileBeyondTheLimit() throws {
    let path = directory.file("a")
    try Files.replace(path, with: [UInt8](repeating: 1, count: 100_000))
    #expect(throws: SystemError("read", path, errno: EFBIG)) { _ = try Files.read(path, limit: 99_999) }
    #expect(try Files.read(path, limit: 100_000)?.count == 100_000)
  }

  /// The mode of files that other programs read must not depend on our umask.
  @Test func theModeDoesNotDependOnTheUmask() throws {
    for (mode, text) in [(UInt32(0o644), "644\n"), (0o600, "600\n"), (0o666, "666\n")] {
      try Files.replace(directory.file("a"), with: [], mode: mode)
      #expect(try run(["stat", "-c", "%a", directory.file("a")]).output == text)
    }
  }

  @Test func aFailedReplaceLeavesNoFile() throws {
    let path = directory.file("a")
    try Files.makeDirectory(path + "/x")
    #expect(throws: SystemError("rename", path, errno: EISDIR)) { try Files.replace(path, with: [1]) }
    #expect(try Files.names(in: directory.path) == ["a"])
    #expect(throws: SystemError.self) { try Files.replace(directory.file("none/a"), with: [1]) }
  }

  /// Two states of a file differ even if size and name are equal.
  @Test func identityDiffersAfterEachChange() throws {
    let path = directory.file("a")
    #expect(try Files.identity(path) == nil)
    #expect(try Files.identity(path + "/b") == nil)
    try Files.replace(path, with: [1])
    let first = try #require(try Files.identity(path))
    #expect(first.isRegularFile && !first.isDirectory && first.sizeBytes == 1)
    #expect(try Files.identity(path) == first)
    try Files.replace(path, with: [2])
    #expect(try Files.identity(path) != first)
    #expect(try Files.identity(directory.path)?.isDirectory == true)
  }

  @Test func removingTwiceIsSuccess() throws {
    let path = directory.file("a")
    try Files.replace(path, with: [])
    try Files.remove(path)
    try Files.remove(path)
    try Files.remove(path + "/b")
    #expect(throws: SystemError.self) { try Files.remove(directory.path) }
  }

  @Test func createsParentsToo() throws {
    try Files.makeDirectory(directory.file("a/b/c"))
    try Files.makeDirectory(directory.file("a/b/c"))
    #expect(try Files.identity(directory.file("a/b/c"))?.isDirectory == true)
    try Files.replace(directory.file("f"), with: [])
    #expect(throws: SystemError.self) { try Files.makeDirectory(directory.file("f/g")) }
    #expect(throws: SystemError.self) { try Files.makeDirectory("") }
    // The parent exists, but the kernel reports ENOENT.
    #expect(throws: SystemError.self) { try Files.makeDirectory("/proc/nowhere/at/all") }
  }

  @Test func listsTheNamesOfADirectory() throws {
    #expect(try Files.names(in: directory.file("none")).isEmpty)
    let names = ["a", ".b", "c d", String(repeating: "n", count: 255)]
    for name in names { try Files.replace(directory.file("x"), with: []); try rename(name) }
    #expect(try Set(Files.names(in: directory.path)) == Set(names))
    #expect(throws: SystemError("list", directory.file("a"), errno: ENOTDIR)) {
      _ = try Files.names(in: directory.file("a"))
    }
  }

  private func rename(_ name: String) throws {
    try run(["mv", directory.file("x"), directory.file(name)]).succeeded()
  }

  /// A FIFO in a file's place must not block any operation.
  @Test(.timeLimit(.minutes(1))) func fifosDoNotBlock() throws {
    let path = directory.file("fifo")
    try run(["mkfifo", path]).succeeded()
    #expect(throws: SystemError("read the FIFO", path, errno: EOPNOTSUPP)) { _ = try Files.read(path, limit: 10) }
    #expect(throws: SystemError("open", path, errno: ENXIO)) { try Files.write(path, [1]) }
    #expect(try !FileLock.isHeldExclusively(path))
    // Not at once: see FileLockTests.
    let lock = try FileLock(path, waitingAtMost: .seconds(5))
    #expect(try FileLock.isHeldExclusively(path))
    _ = consume lock
    // In place of a killed writer's file: removed after the failure, and the next writer succeeds.
    try run(["mv", path, "\(path).new"]).succeeded()
    try? Files.replace(path, with: [1])
    try Files.replace(path, with: [2])
    #expect(try Files.read(path, limit: 1) == [2])
    try run(["sh", "-c", "rm \(path); mkfifo \(path)"]).succeeded()
    #expect(throws: SystemError("open the network namespace", path, errno: EINVAL)) { _ = try NetworkNamespace(path) }
  }

  /// A file of a gigabyte is refused by its size, before it is read.
  @Test func aFileBeyondTheLimitIsNotRead() throws {
    let path = directory.file("huge")
    try run(["truncate", "-s", "1T", path]).succeeded()
    #expect(throws: SystemError("read", path, errno: EFBIG)) { _ = try Files.read(path, limit: 1 << 40 - 1) }
  }

  @Test(arguments: ["a", "a.new"]) func nothingIsWrittenThroughALink(_ name: String) throws {
    let precious = directory.file("precious")
    try Files.write(precious, [1])
    try run(["ln", "-s", precious, directory.file(name)]).succeeded()
    if name == "a" { #expect(throws: SystemError.self) { try Files.write(directory.file("a"), [2]) } }
    try? Files.replace(directory.file("a"), with: [2])
    try Files.replace(directory.file("a"), with: [2])
    #expect(try Files.read(precious, limit: 1) == [1] && Files.read(directory.file("a"), limit: 1) == [2])
  }

  @Test(arguments: [
    ("a\u{1B}[2Jb\r\nc", "a [2Jb  c"), ("é😀 \u{202E}x\u{2028}", "é😀  x "), ("", ""), ("\u{9B}31m", " 31m"),
  ])
  func quotedTextIsOnOneLine(_ text: String, _ shown: String) {
    #expect(text.onOneLine == shown && text.quotable == shown)
    #expect(String(repeating: "n", count: 1000).quotable == String(repeating: "n", count: 240) + "…")
  }

  @Test func errorsNameOperationSubjectAndReason() {
    #expect("\(SystemError("open", "/x", errno: ENOENT))" == "open /x: No such file or directory")
    #expect(throws: SystemError("read", directory.path, errno: EISDIR)) { _ = try Files.read(directory.path, limit: 1) }
  }
}
