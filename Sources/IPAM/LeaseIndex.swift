internal import Addresses
internal import Linux

/// What the lease directory holds, by owner and by address, so that no verb has to read all of it.
///
/// The index lies under the state directory, never in the lease directory, where host-local would take it for leases.
/// It is believed only while the directory is as we last left it: then both carry the same time of change, one that we
/// set ourselves, to the nanosecond; whatever anybody else changes gives the directory another. What it says of an owner
/// is checked against the lease files besides; what it says is free, by making the file.
struct LeaseIndex: Sendable {
  private let path: String
  private let directory: String

  /// Two spellings of one directory get an index each; either is right as long as it is believed.
  init(stateDirectory: String, leases: LeaseFiles) {
    path = "\(stateDirectory)/ipam/\(String(hash(leases.path), radix: 16))"
    directory = leases.path
  }

  private var stampPath: String { "\(path)/stamp" }
  private var bootPath: String { "\(path)/boot" }
  private var ownersPath: String { "\(path)/owners" }
  private var heldPath: String { "\(path)/held" }

  /// Whether the directory is as the index knows it. One of an earlier boot knows nothing of the reboot.
  var agrees: Bool {
    guard let stamp = (try? Files.identity(stampPath)) ?? nil, let leases = (try? Files.identity(directory)) ?? nil
    else { return false }
    return stamp.modified == leases.modified && stamp.modified >= MonotonicTime.bootSinceEpoch
  }

  /// Marks directory and index as agreeing: the last step of every change.
  func seal() throws(SystemError) {
    let now = MonotonicTime.sinceEpoch
    // Odd, so that a file system that keeps coarser times never seems to agree.
    let odd = now.components.attoseconds / 1_000_000_000 | 1
    let stamp = Duration.seconds(now.components.seconds) + .nanoseconds(odd)
    try Files.setModified(directory, sinceEpoch: stamp)
    try Files.setModified(stampPath, sinceEpoch: stamp)
  }

  /// Whether the index was built since this kernel started.
  var isOfThisBoot: Bool {
    guard let boot = LeaseIndex.bootID else { return false }
    return (try? Files.read(bootPath, limit: 256)) == Array(boot.utf8)
  }

  private static var bootID: String? { (try? Sysctl.read("kernel/random/boot_id")) ?? nil }

  /// Begins anew with what a scan found; not believed before it is sealed.
  func build(_ leases: [HeldLease]) throws(SystemError) {
    try Files.remove(stampPath)
    for part in [ownersPath, heldPath] {
      for name in try Files.names(in: part) { try Files.remove("\(part)/\(name)") }
      try Files.makeDirectory(part, mode: 0o700)
    }
    try update(adding: leases, removing: [])
    try Files.write(bootPath, Array((LeaseIndex.bootID ?? "").utf8))
    try Files.write(stampPath, [])
  }

  /// Takes over what has changed in the directory.
  func update(adding added: [HeldLease], removing removed: [HeldLease]) throws(SystemError) {
    var entries: [String: (added: Set<OwnerEntry>, removed: Set<OwnerEntry>)] = [:]
    var blocks: [HeldBlock.Number: [(address: IPAddress, isHeld: Bool)]] = [:]
    for (leases, isHeld) in [(removed, false), (added, true)] {
      for lease in leases {
        blocks[.init(of: lease.address), default: []].append((lease.address, isHeld))
        guard let id = lease.owner?.containerID else { continue }
        let entry = OwnerEntry(hash: hash(id), name: lease.name)
        if isHeld {
          entries[entry.bucket, default: ([], [])].added.insert(entry)
        } else {
          entries[entry.bucket, default: ([], [])].removed.insert(entry)
        }
      }
    }
    for (bucket, change) in entries {
      let entries = try self.entries(in: bucket).subtracting(change.removed).union(change.added)
      try Files.write("\(ownersPath)/\(bucket)", entries.flatMap(\.line))
    }
    for (number, changes) in blocks {
      var block = try block(number)
      for change in changes { block[change.address] = change.isHeld }
      try Files.write("\(heldPath)/\(number)", block.content)
    }
  }

  /// Names of leases that may be the container's; whether they are, their files tell.
  func names(containerID: String) throws(SystemError) -> [String] {
    let wanted = hash(containerID)
    return try entries(in: OwnerEntry(hash: wanted, name: "").bucket).filter { $0.hash == wanted }.map(\.name)
  }

  private func entries(in bucket: String) throws(SystemError) -> Set<OwnerEntry> {
    let content = try Files.read("\(ownersPath)/\(bucket)", limit: 256 << 20) ?? []
    return Set(content.split(separator: UInt8(ascii: "\n")).compactMap { OwnerEntry(line: $0) })
  }

  /// What is held among a block's addresses.
  func block(_ number: HeldBlock.Number) throws(SystemError) -> HeldBlock {
    let content = try Files.read("\(heldPath)/\(number)", limit: HeldBlock.sizeBytes)
    return content.flatMap { HeldBlock(bits: $0) } ?? HeldBlock()
  }
}

/// One lease in the index of owners: a line of one of 4,096 small files.
///
/// A container's name stands there as a number: of whatever length and characters it is, and whoever shares the number.
private struct OwnerEntry: Hashable {
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

  var bucket: String { String(hash & 0xFFF, radix: 16) }
}

/// FNV-1a of 64 bits (Fowler, Noll, Vo): Swift's own hash is another in each process.
private func hash(_ text: String) -> UInt64 {
  text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
