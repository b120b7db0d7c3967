import Backends
import FileStore
import Linux
internal import Nodes
import NodeState
import Testing
import TestSupport

private func nodes(_ count: Int) -> String {
  let list = (0..<count).map { #"{"name": "n\#($0)"}"# }.joined(separator: ",")
  return #"{"network": {"Network": "10.244.0.0/16"}, "nodes": [\#(list)]}"#
}

@Suite(.timeLimit(.minutes(1))) struct FileNodeStoreTests {
  private let directory: TemporaryDirectory
  private let file: String

  init() throws {
    directory = try TemporaryDirectory()
    file = "\(directory.path)/nodes.json"
  }

  /// Runs a script in the directory.
  private func sh(_ script: String) throws {
    try run(["/bin/sh", "-ec", "cd \(directory.path); \(script)"]).succeeded()
  }

  @Test func snapshotHasTheMarkOfTheFile() async throws {
    try Files.replace(file, with: Array(nodes(2).utf8))
    let snapshot = try await FileNodeStore(path: file, backends: BackendList.reader).read()
    let identity = try #require(try Files.identity(file))
    #expect(snapshot.nodes.count == 2)
    #expect(snapshot.mark == NodesFileMark(identity))
  }

  @Test func errorOfAnAbsentFileNamesTheOption() async throws {
    let error = try await #require(throws: NodesFileError.self) {
      try await FileNodeStore(path: file, backends: BackendList.reader).read()
    }
    #expect(error == .absent(file: file))
    #expect("\(error)".contains("--nodes-file"))
  }

  @Test func everyKindOfFileChangeIsReported() async throws {
    try Files.replace(file, with: Array(nodes(1).utf8))
    var updates = FileNodeStore(path: file, backends: BackendList.reader).updates().makeAsyncIterator()
    #expect(try await updates.next()?.get().nodes.count == 1)
    // By rename, as editors do.
    try Files.replace(file, with: Array(nodes(2).utf8))
    #expect(try await updates.next()?.get().nodes.count == 2)
    // In place.
    try sh("cat > nodes.json <<'X'\n\(nodes(3))\nX")
    while true {
      // The file may have been read while it was incomplete; the last content counts.
      if case .success(let snapshot) = await updates.next(), snapshot.nodes.count == 3 { break }
    }
    // Without the file: an error, not an empty set.
    try Files.remove(file)
    // The last content may be reported twice.
    var last = await updates.next()
    while case .success(let snapshot) = last, snapshot.nodes.count == 3 { last = await updates.next() }
    #expect(throws: NodesFileError.absent(file: file)) { try last?.get() }
    // With the file again.
    try Files.replace(file, with: Array(nodes(4).utf8))
    #expect(try await updates.next()?.get().nodes.count == 4)
  }

  /// Kubernetes' ConfigMap volumes: the file is a link through `..data`, and `..data` is swapped.
  @Test func swappedSymbolicLinkIsReported() async throws {
    try sh("mkdir ..1 ..2; ln -s ..1 ..data; ln -s ..data/nodes.json nodes.json")
    try Files.replace("\(directory.path)/..1/nodes.json", with: Array(nodes(1).utf8))
    try Files.replace("\(directory.path)/..2/nodes.json", with: Array(nodes(2).utf8))
    var updates = FileNodeStore(path: file, backends: BackendList.reader).updates().makeAsyncIterator()
    #expect(try await updates.next()?.get().nodes.count == 1)
    try sh("ln -s ..2 ..next; mv -T ..next ..data")
    #expect(try await updates.next()?.get().nodes.count == 2)
  }

  @Test func directoryCreatedLaterIsWatched() async throws {
    let late = "\(directory.path)/late/nodes.json"
    var updates = FileNodeStore(path: late, backends: BackendList.reader).updates().makeAsyncIterator()
    await #expect(throws: NodesFileError.absent(file: late)) { try await updates.next()?.get() }
    try Files.makeDirectory("\(directory.path)/late")
    try Files.replace(late, with: Array(nodes(1).utf8))
    #expect(try await updates.next()?.get().nodes.count == 1)
  }
}
