package import Addresses
internal import Glibc
internal import Linux

/// The address leases of one network on this node, in host-local's format on disk, so that either program can use the
/// other's leases.
///
/// Every operation holds the directory's lock. Its cost does not grow with the number of leases, unless another program
/// has changed the directory since the last operation.
package struct LeaseDirectory: Sendable {
  let dataDirectory: String
  let network: String
  private let stateDirectory: String
  let sharesAddressesAcrossNetworks: Bool
  private let lockLimit: Duration
  let isAlive: @Sendable (LeaseOwner, _ network: String) -> Bool

  /// Describes a lease directory; nothing is read or created yet.
  ///
  /// - Parameters:
  ///   - dataDirectory: host-local's `dataDir`. Leases are in its directory `network`, which the first lease creates.
  ///   - stateDirectory: the directory for the index. A reboot must empty it, and it must not be below `dataDirectory`.
  ///   - sharesAddressesAcrossNetworks: whether an address is held if any network below `dataDirectory` holds it.
  ///   - limit: how long an operation waits for the lock.
  ///   - isAlive: whether the owner in the network is known to be alive in this boot. It is called only for leases that
  ///     are older than the boot.
  package init(
    dataDirectory: String, network: String, stateDirectory: String, sharesAddressesAcrossNetworks: Bool,
    waitingAtMost limit: Duration = .seconds(10),
    isAlive: @escaping @Sendable (LeaseOwner, _ network: String) -> Bool
  ) {
    self.dataDirectory = dataDirectory
    self.network = network
    self.stateDirectory = stateDirectory
    self.sharesAddressesAcrossNetworks = sharesAddressesAcrossNetworks
    lockLimit = limit
    self.isAlive = isAlive
  }

  private var isAliveHere: @Sendable (LeaseOwner) -> Bool {
    { [isAlive, network] in isAlive($0, network) }
  }

  var files: LeaseFiles { LeaseFiles(dataDirectory: dataDirectory, network: network) }
  var index: LeaseIndex { index(of: files) }

  func index(of files: LeaseFiles) -> LeaseIndex { LeaseIndex(stateDirectory: stateDirectory, leases: files) }

  /// Waits for the lock; `nil` if the network has no directory.
  func open() throws(IPAMError) -> LockedLeases? {
    let files = files
    do throws(SystemError) {
      return try LockedLeases.open(files, index, waitingAtMost: lockLimit, isAlive: isAliveHere)
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
      throw IPAMError(error, waited: lockLimit)
    }
  }

  /// Waits for the lock; creates the network's directory if there is none.
  func openOrMake() throws(IPAMError) -> LockedLeases {
    if let leases = try open() { return leases }
    do throws(SystemError) {
      try Files.makeDirectory(files.path)
      return try LockedLeases.open(files, index, waitingAtMost: lockLimit, isAlive: isAliveHere)
    } catch {
      throw IPAMError(error, waited: lockLimit)
    }
  }

  /// Locks the data directory against leases in its other networks; `nil` if addresses are not shared.
  func claimAllNetworks() throws(IPAMError) -> FileLock? {
    guard sharesAddressesAcrossNetworks else { return nil }
    do throws(SystemError) {
      try Files.makeDirectory(dataDirectory)
      return try FileLock(directory: dataDirectory, waitingAtMost: lockLimit)
    } catch {
      throw IPAMError(error, waited: lockLimit)
    }
  }
}

extension LeaseDirectory {
  /// The owner's addresses; if there are none, those of its container in host-local's old format, without an interface.
  package func find(_ owner: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    guard let leases = try open() else { return [] }
    do throws(SystemError) {
      return try leases.leases(of: owner).map { $0.address }
    } catch {
      throw .system(error)
    }
  }

  /// The addresses of the container's other interfaces in the network.
  package func addresses(besides owner: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    guard let leases = try open() else { return [] }
    do throws(SystemError) {
      return try leases.leases(besides: owner).map { $0.address }
    } catch {
      throw .system(error)
    }
  }

  /// Releases the owner's addresses and returns them; absence is success.
  package func release(_ owner: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    guard var leases = try open() else { return [] }
    do throws(SystemError) {
      let own = try leases.leases(of: owner)
      for lease in own { try leases.remove(lease) }
      leases.updateIndex()
      return own.map { $0.address }
    } catch {
      throw .system(error)
    }
  }

  /// Releases every lease except those of `owners`, and returns the released ones.
  ///
  /// Files without an owner, such as a file that cannot be read, are kept.
  package func collect(
    keeping owners: Set<LeaseOwner>
  ) throws(IPAMError) -> [(owner: LeaseOwner, address: IPAddress)] {
    guard var leases = try open() else { return [] }
    let containers = Set(owners.map { $0.containerID })
    var freed: [(owner: LeaseOwner, address: IPAddress)] = []
    do throws(SystemError) {
      for lease in try leases.all() {
        guard let owner = lease.owner, !owners.contains(owner),
          !(owner.interfaceName.isEmpty && containers.contains(owner.containerID))
        else { continue }
        try leases.remove(lease)
        freed.append((owner, lease.address))
      }
      leases.updateIndex()
      return freed
    } catch {
      throw .system(error)
    }
  }

  /// All addresses that are leased in the network, unordered.
  package func addresses() throws(IPAMError) -> [IPAddress] {
    do throws(SystemError) {
      return try files.names().map { $0.address }
    } catch {
      throw .system(error)
    }
  }

  /// Whether Causeway, and not only host-local, has used the directory.
  package var isOurs: Bool { files.hasRecordedBoot }

  /// Whether any address of the subnet is leased in the network.
  package func hasLease(in subnet: IPPrefix) throws(IPAMError) -> Bool {
    try addresses().contains { subnet.contains($0) }
  }
}

extension IPAMError {
  /// The error of waiting for the lock: `locked` if another process holds it.
  init(_ error: SystemError, waited: Duration) {
    self = error.errno == EWOULDBLOCK ? .locked(path: error.subject, waited: waited) : .system(error)
  }
}
