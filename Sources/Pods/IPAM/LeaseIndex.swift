internal import Addresses
internal import Linux

/// An index of the lease directory by owner and by address, so that no operation has to read all leases.
///
/// The index is under the state directory: in the lease directory host-local would take it for leases. It is used only
/// while the directory is as we last left it. Then directory and index have the same time of modification, to the
/// nanosecond, which we set; a change by another program gives the directory another time. Leases of an owner that the
/// index names are also checked against their files, and creating the file checks that an address is free.
struct LeaseIndex: Sendable {
  private let path: String
  private let directory: String

  /// Two spellings of one directory have separate indexes; each is used only while it is current.
  init(stateDirectory: String, leases: LeaseFiles) {
    path = "\(stateDirectory)/ipam/\(String(stableHash(leases.path.utf8), radix: 16))"
    directory = leases.path
  }

  private var stampPath: String { "\(path)/stamp" }
  private var ownersPath: String { "\(path)/owners" }
  private var heldPath: String { "\(path)/held" }

  /// Whether the index agrees with the directory and was written in this boot.
  var isCurrent: Bool {
    guard let stamp = try? Files.identity(stampPath), let leases = try? Files.identity(directory)
    else { return false }
    return stamp.modified == leases.modified && stamp.modified >= MonotonicTime.bootSinceEpoch
  }

  /// Marks the index as agreeing with the directory: the last step of every change.
  func markCurrent() throws(SystemError) {
    let now = MonotonicTime.sinceEpoch
    // An odd number of nanoseconds: on a file system with coarser times the two never seem to agree.
    let odd = now.components.attoseconds / 1_000_000_000 | 1
    let stamp = Duration.seconds(now.components.seconds) + .nanoseconds(odd)
    try Files.setModified(directory, sinceEpoch: stamp)
    try Files.setModified(stampPath, sinceEpoch: stamp)
  }

  /// Rebuilds the index from a scan. It is not used before `markCurrent`.
  func build(_ leases: [AddressLease]) throws(SystemError) {
    try Files.remove(stampPath)
    for part in [ownersPath, heldPath] {
      for name in try Files.names(in: part) { try Files.remove("\(part)/\(name)") }
      try Files.makeDirectory(part, mode: 0o700)
    }
    try update(adding: leases, removing: [])
    try Files.write(stampPath, [])
  }

  /// Applies changes of the directory to the index.
  ///
  /// Sorted arrays serve in place of dictionaries: the first use of a dictionary type costs an ADD more than the files.
  func update(adding added: [AddressLease], removing removed: [AddressLease]) throws(SystemError) {
    let changes = removed.map { (lease: $0, isHeld: false) } + added.map { (lease: $0, isHeld: true) }
    try updateOwners(
      changes.compactMap { lease, isHeld in
        lease.owner.map { (OwnerEntry(hash: stableHash($0.containerID.utf8), name: lease.name), isHeld) }
      }.sorted { $0.0.bucket < $1.0.bucket })
    try updateBlocks(
      changes.map { (HeldBlock.Number(of: $0.address), $0.address, $1) }.sorted { $0.1 < $1.1 })
  }

  private func updateOwners(_ changes: [(entry: OwnerEntry, isHeld: Bool)]) throws(SystemError) {
    var rest = changes[...]
    while let bucket = rest.first?.entry.bucket {
      let ofBucket = rest.prefix { $0.entry.bucket == bucket }
      var entries = try entries(in: bucket)
      for (entry, isHeld) in ofBucket {
        entries.removeAll { $0 == entry }
        if isHeld { entries.append(entry) }
      }
      try Files.write("\(ownersPath)/\(bucket.name)", entries.flatMap { $0.line })
      rest = rest.dropFirst(ofBucket.count)
    }
  }

  private func updateBlocks(
    _ changes: [(number: HeldBlock.Number, address: IPAddress, isHeld: Bool)]
  ) throws(SystemError) {
    var rest = changes[...]
    while let number = rest.first?.number {
      let ofBlock = rest.prefix { $0.number == number }
      var block = try block(number)
      for change in ofBlock { block[change.address] = change.isHeld }
      try Files.write("\(heldPath)/\(number)", block.content)
      rest = rest.dropFirst(ofBlock.count)
    }
  }

  /// The names of leases that may be the container's; the caller checks their files.
  func names(containerID: String) throws(SystemError) -> [String] {
    let wanted = stableHash(containerID.utf8)
    return try entries(in: OwnerEntry(hash: wanted, name: "").bucket).filter { $0.hash == wanted }.map { $0.name }
  }

  private func entries(in bucket: OwnerEntry.Bucket) throws(SystemError) -> [OwnerEntry] {
    let content = try Files.read("\(ownersPath)/\(bucket.name)", limit: 256 << 20) ?? []
    return content.split(separator: UInt8(ascii: "\n")).compactMap { OwnerEntry(line: $0) }
  }

  /// Reads a block of held addresses; empty if there is none.
  func block(_ number: HeldBlock.Number) throws(SystemError) -> HeldBlock {
    let content = try Files.read("\(heldPath)/\(number)", limit: HeldBlock.sizeBytes)
    return content.flatMap { HeldBlock(bits: $0) } ?? HeldBlock()
  }
}

/// One lease in the index of owners: a line in one of 4,096 small files.
///
/// A container's ID is stored as a hash, because it has any length and any characters. Containers may share a hash.
private struct OwnerEntry: Equatable {
  let hash: UInt64
  let name: String

  init(hash: UInt64, name: String) {
    self.hash = hash
    self.name = name
  }

  init?(line: ArraySlice<UInt8>) {
    let parts = String(decoding: line, as: UTF8.self).split(separator: " ")
    guard parts.count == 2, let hash = UInt64(parts[0], radix: 16) else { return nil }
    self.init(hash: hash, name: String(parts[1]))
  }

  var line: [UInt8] { Array("\(String(hash, radix: 16)) \(name)\n".utf8) }

  /// The number of the file that contains the entry.
  struct Bucket: Equatable, Comparable {
    let number: UInt64
    var name: String { String(number, radix: 16) }

    static func < (left: Bucket, right: Bucket) -> Bool { left.number < right.number }
  }

  var bucket: Bucket { Bucket(number: hash & 0xFFF) }
}
