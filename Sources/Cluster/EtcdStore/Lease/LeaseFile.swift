internal import Linux

/// File with the records that this node's agent holds in etcd. After a restart, a record in an unchanged version is
/// this node's, even if the node's address has changed. Reservations are left out, since they belong to the operator.
struct LeaseFile: Sendable {
  private let path: String

  init(_ path: String) {
    self.path = path
  }

  /// Reads the versions that were written last; none if the file is missing or unreadable.
  func read() -> [RecordVersion] {
    let text = (try? Files.read(path, limit: 65536)) ?? []
    return String(decoding: text, as: UTF8.self).split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard words.count == 3, let leaseID = Int64(words[1]), leaseID != 0, let revision = Int64(words[2]) else {
        return nil
      }
      return RecordVersion(name: String(words[0]), leaseID: leaseID, modRevision: revision)
    }
  }

  /// Replaces the content of the file if it differs.
  func write(_ versions: [RecordVersion]) throws(SystemError) {
    let lines = versions.filter { $0.leaseID != 0 }.map { "\($0.name) \($0.leaseID) \($0.modRevision)\n" }
    _ = try Files.ensure(path, Array(lines.joined().utf8))
  }
}
