internal import Linux

/// Which records in etcd this node's agent holds, on a disk that outlives it: found as they were left they are this
/// node's, whatever address it has by then. A reservation is not among them, since it is its operator's.
struct LeaseMemory: Sendable {
  private let path: String

  init(_ path: String) {
    self.path = path
  }

  /// What was written last; none where that can't be told.
  func read() -> [RecordMark] {
    let text = (try? Files.read(path, limit: 65536)) ?? []
    return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count == 3, let leaseID = Int64(words[1]), leaseID != 0, let revision = Int64(words[2]) else {
        return nil
      }
      return RecordMark(name: String(words[0]), leaseID: leaseID, modRevision: revision)
    }
  }

  /// Writes them where they differ from what is there.
  func write(_ marks: [RecordMark]) throws(SystemError) {
    let lines = marks.filter { $0.leaseID != 0 }.map { "\($0.name) \($0.leaseID) \($0.modRevision)\n" }
    _ = try Files.ensure(path, Array(lines.joined().utf8))
  }
}
