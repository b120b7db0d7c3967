import Testing
import TestSupport

@testable import Linux

@Suite struct FilesCreateTests {
  private let directory: TemporaryDirectory
  private var path: String { directory.file("new") }
  private var scratch: String { directory.file("scratch") }

  init() throws { directory = try TemporaryDirectory() }

  /// With O_TMPFILE, and as on file systems without it.
  enum Way: CaseIterable {
    case nameless
    case linked
  }

  private func create(_ way: Way, _ text: String) throws -> Bool {
    switch way {
    case .nameless: try Files.create(path, Array(text.utf8), scratch: scratch)
    case .linked: try Files.create(path, Array(text.utf8), mode: 0o600, linkedFrom: scratch)
    }
  }

  @Test(arguments: Way.allCases)
  func aSecondCreateIsRefused(_ way: Way) throws {
    #expect(try create(way, "first"))
    #expect(try !create(way, "second"))
    #expect(try Files.read(path, limit: 64) == Array("first".utf8))
    #expect(try Files.names(in: directory.path) == ["new"])
    #expect(try run(["stat", "-c", "%a %h", path]).output == "600 1\n")
  }

  /// A crash after link(2) leaves two names of one file: the next content must not be written into it.
  @Test func aScratchFileOfACrashIsReplaced() throws {
    #expect(try create(.linked, "first"))
    try run(["ln", path, scratch]).succeeded()
    try run(["mv", path, directory.file("old")]).succeeded()
    #expect(try create(.linked, "second"))
    #expect(try Files.read(directory.file("old"), limit: 64) == Array("first".utf8))
    #expect(try Files.read(path, limit: 64) == Array("second".utf8))
    #expect(Set(try Files.names(in: directory.path)) == ["new", "old"])
  }

  @Test(arguments: Way.allCases)
  func aMissingDirectoryIsAnError(_ way: Way) throws {
    let missing = directory.file("missing/new")
    let error = #expect(throws: SystemError.self) {
      switch way {
      case .nameless: _ = try Files.create(missing, [], scratch: scratch)
      case .linked: _ = try Files.create(missing, [], mode: 0o600, linkedFrom: directory.file("missing/scratch"))
      }
    }
    #expect(error?.description.contains("missing") ?? false)
  }

  @Test(arguments: ["", "short", "a longer one than before"])
  func aFileIsOverwritten(_ text: String) throws {
    try Files.write(path, Array("some content".utf8))
    try Files.write(path, Array(text.utf8))
    #expect(try Files.read(path, limit: 64) == Array(text.utf8))
  }

  @Test func timesAreSetToTheNanosecond() throws {
    #expect(try create(.nameless, ""))
    let time = Duration.seconds(1_700_000_000) + .nanoseconds(123_456_789)
    try Files.setModified(path, sinceEpoch: time)
    #expect(try Files.identity(path)?.modified == time)
    #expect(throws: SystemError.self) { try Files.setModified(directory.file("none"), sinceEpoch: time) }
  }
}
