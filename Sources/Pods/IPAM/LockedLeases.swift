internal import Addresses
internal import Linux

/// A network's leases while its lock is held: the files, and an index that agrees with them.
struct LockedLeases: ~Copyable {
  let files: LeaseFiles
  let index: LeaseIndex
  private let isAlive: @Sendable (LeaseOwner) -> Bool
  private let lock: FileLock
  /// All leases, if this operation has read them from their files.
  private var scanned: [AddressLease]?
  /// Reason why the index cannot be used; `nil` if it can.
  private(set) var indexFailure: SystemError?
  private var added: [AddressLease] = []
  private var removed: [AddressLease] = []

  private init(
    _ files: LeaseFiles, _ index: LeaseIndex, isAlive: @escaping @Sendable (LeaseOwner) -> Bool,
    lock: consuming FileLock
  ) {
    self.files = files
    self.index = index
    self.isAlive = isAlive
    self.lock = lock
  }

  /// Waits for the lock and rebuilds the index if it does not agree with the directory.
  ///
  /// - Throws: ENOENT if there is no directory, EWOULDBLOCK if another process holds the lock longer than `limit`.
  static func open(
    _ files: LeaseFiles, _ index: LeaseIndex, waitingAtMost limit: Duration,
    isAlive: @escaping @Sendable (LeaseOwner) -> Bool
  ) throws(SystemError) -> LockedLeases {
    let lock = try FileLock(files.lockPath, waitingAtMost: limit)
    var leases = LockedLeases(files, index, isAlive: isAlive, lock: lock)
    if !index.isCurrent { try leases.rebuild() }
    return leases
  }

  /// Whether this operation has read all leases from their files.
  var isScanned: Bool { scanned != nil }

  /// Reads all leases, removes abandoned and left-over ones, and rebuilds the index.
  ///
  /// If the index cannot be written, this operation still has the leases that were read.
  mutating func rebuild() throws(SystemError) {
    let leases = try scan()
    scanned = leases
    do throws(SystemError) {
      try files.recordBoot()
      try index.build(leases)
      try index.markCurrent()
      indexFailure = nil
    } catch {
      indexFailure = error
    }
  }

  private func scan() throws(SystemError) -> [AddressLease] {
    let rule = LeftOverRule(files, isAlive: isAlive)
    var leases: [AddressLease] = []
    for (name, address) in try files.names() {
      let content = files.content(of: name)
      let lease = AddressLease(address: address, name: name, owner: content.flatMap { LeaseOwner(content: $0) })
      // host-local writes under this lock, so it crashed before it wrote an empty file.
      let isAbandoned = content?.isEmpty ?? false
      if isAbandoned || rule.mayApply, let file = try? Files.identity(files.path(of: name)),
        file.isRegularFile, isAbandoned || rule.applies(to: file, of: lease.owner)
      {
        try files.remove(lease)
      } else {
        leases.append(lease)
      }
    }
    return leases
  }

  /// All leases, read from their files.
  mutating func all() throws(SystemError) -> [AddressLease] {
    if scanned == nil { try rebuild() }
    return scanned ?? []
  }

  /// The owner's leases; if there are none, those of its container in the old format.
  func leases(of owner: LeaseOwner) throws(SystemError) -> [AddressLease] {
    let candidates = try candidates(containerID: owner.containerID)
    let own = candidates.filter { $0.owner == owner }
    return own.isEmpty ? candidates.filter { $0.owner?.covers(owner) ?? false } : own
  }

  /// The leases of the other interfaces of the owner's container.
  func leases(besides owner: LeaseOwner) throws(SystemError) -> [AddressLease] {
    try candidates(containerID: owner.containerID).filter { lease in
      lease.owner.map { $0.containerID == owner.containerID && !$0.covers(owner) } ?? false
    }
  }

  /// Leases that may be the container's, read from their files.
  private func candidates(containerID: String) throws(SystemError) -> [AddressLease] {
    if let scanned { return scanned }
    return try index.names(containerID: containerID).compactMap { files.lease($0) }
  }

  /// Creates a lease; false if the address is held.
  mutating func create(_ address: IPAddress, _ owner: LeaseOwner, rangeSet: Int) throws(SystemError) -> Bool {
    guard let lease = try files.create(address, owner) else { return false }
    added.append(lease)
    try files.setLastReserved(address, rangeSet)
    return true
  }

  /// Removes a lease; absence is success.
  mutating func remove(_ lease: AddressLease) throws(SystemError) {
    try files.remove(lease)
    removed.append(lease)
  }

  /// Removes the leases that this operation has created.
  mutating func undo() {
    for lease in added {
      do throws(SystemError) { try remove(lease) } catch { indexFailure = error }
    }
    added = []
  }

  /// Updates the index: the last step of an operation that changes leases.
  ///
  /// If that fails, the index no longer agrees with the directory, and the next operation rebuilds it.
  func updateIndex() {
    guard indexFailure == nil, !(added.isEmpty && removed.isEmpty) else { return }
    do throws(SystemError) {
      try index.update(adding: added, removing: removed)
      try index.markCurrent()
    } catch {}
  }
}
