internal import Addresses
internal import Linux

/// A network's leases while nobody else may touch them: the files, and an index that agrees with them.
struct LockedLeases: ~Copyable {
  let files: LeaseFiles
  let index: LeaseIndex
  private let isAlive: @Sendable (LeaseOwner) -> Bool
  private let lock: FileLock
  /// All leases, where this verb has looked at each one, as they were then.
  private var scanned: [HeldLease]?
  /// Why there is no index.
  private(set) var indexFailure: SystemError?
  private var added: [HeldLease] = []
  private var removed: [HeldLease] = []

  private init(
    _ files: LeaseFiles, _ index: LeaseIndex, _ isAlive: @escaping @Sendable (LeaseOwner) -> Bool,
    _ lock: consuming FileLock
  ) {
    self.files = files
    self.index = index
    self.isAlive = isAlive
    self.lock = lock
  }

  /// Waits for the lock; ENOENT where the directory is missing, EWOULDBLOCK after `limit`.
  static func open(
    _ files: LeaseFiles, _ index: LeaseIndex, waitingAtMost limit: Duration,
    isAlive: @escaping @Sendable (LeaseOwner) -> Bool
  ) throws(SystemError) -> LockedLeases {
    let lock = try FileLock(files.lockPath, waitingAtMost: limit)
    var leases = LockedLeases(files, index, isAlive, lock)
    if !index.agrees { try leases.rebuild() }
    return leases
  }

  /// Whether what is known was read from the lease files just now.
  var isScanned: Bool { scanned != nil }

  /// Reads all leases, drops those that belong to nobody, and makes the index anew.
  ///
  /// Where the index cannot be written the leases are known all the same, for as long as the lock is held.
  mutating func rebuild() throws(SystemError) {
    let leases = try scan()
    scanned = leases
    do throws(SystemError) {
      try files.endFirstLookOfBoot()
      try index.build(leases)
      try index.seal()
      indexFailure = nil
    } catch {
      indexFailure = error
    }
  }

  private func scan() throws(SystemError) -> [HeldLease] {
    let rule = LeftOverRule(files, isAlive: isAlive)
    var leases: [HeldLease] = []
    for (name, address) in try files.names() {
      let content = files.content(of: name)
      let lease = HeldLease(address: address, name: name, owner: content.flatMap { LeaseOwner(content: $0) })
      // host-local writes under this lock; an empty file is one that it died over.
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

  /// All leases, each as its file tells it now.
  mutating func all() throws(SystemError) -> [HeldLease] {
    if scanned == nil { try rebuild() }
    return scanned ?? []
  }

  /// The owner's leases, or, where there is none, those of its container in the old format.
  func leases(of owner: LeaseOwner) throws(SystemError) -> [HeldLease] {
    let candidates = try candidates(containerID: owner.containerID)
    let own = candidates.filter { $0.owner == owner }
    return own.isEmpty ? candidates.filter { $0.owner?.covers(owner) ?? false } : own
  }

  /// The leases of the owner's container that are another interface's.
  func leases(besides owner: LeaseOwner) throws(SystemError) -> [HeldLease] {
    try candidates(containerID: owner.containerID).filter { lease in
      lease.owner.map { $0.containerID == owner.containerID && !$0.covers(owner) } ?? false
    }
  }

  /// Leases that may be the container's, as their files tell now.
  private func candidates(containerID: String) throws(SystemError) -> [HeldLease] {
    if let scanned { return scanned }
    return try index.names(containerID: containerID).compactMap { files.lease($0) }
  }

  /// Leases the address; false where it is held.
  mutating func take(_ address: IPAddress, _ rangeSet: Int, for owner: LeaseOwner) throws(SystemError) -> Bool {
    guard let lease = try files.create(address, owner) else { return false }
    added.append(lease)
    try files.setLastReserved(address, rangeSet)
    return true
  }

  mutating func remove(_ lease: HeldLease) throws(SystemError) {
    try files.remove(lease)
    removed.append(lease)
  }

  /// Takes back what this verb has leased.
  mutating func undo() {
    for lease in added {
      do throws(SystemError) { try remove(lease) } catch { indexFailure = error }
    }
    added = []
  }

  /// Brings the index up to date: the last step of a verb that has changed anything.
  ///
  /// Where that fails the index no longer agrees with the directory, and the next verb builds it anew.
  func seal() {
    guard indexFailure == nil, !(added.isEmpty && removed.isEmpty) else { return }
    do throws(SystemError) {
      try index.update(adding: added, removing: removed)
      try index.seal()
    } catch {}
  }
}
