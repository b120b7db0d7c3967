package import Addresses
internal import Glibc
internal import Linux

/// The leases of one network on this node, on disk as host-local keeps them, so that either can work on the other's.
///
/// Every verb holds the directory's lock, and none gets slower with the number of leases unless somebody else has changed
/// the directory since the last one.
package struct LeaseDirectory: Sendable {
  let dataDirectory: String
  let network: String
  private let stateDirectory: String
  let sharesAddressesAcrossNetworks: Bool
  private let lockLimit: Duration
  let isAlive: @Sendable (LeaseOwner, _ network: String) -> Bool

  /// - Parameters:
  ///   - dataDirectory: host-local's `dataDir`; the leases are in its directory `network`, which the first one makes.
  ///   - stateDirectory: where the index may lie: a place that a reboot empties, and not below `dataDirectory`.
  ///   - sharesAddressesAcrossNetworks: an address counts as held if any network below `dataDirectory` holds it.
  ///   - limit: how long a verb waits for the lock.
  ///   - isAlive: whether the owner in that network is known to live in this boot; asked only for leases that are older
  ///     than it.
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

  /// Waits for the lock; `nil` where the network has no directory.
  func open() throws(IPAMError) -> LockedLeases? {
    let files = files
    do throws(SystemError) {
      return try LockedLeases.open(files, index, waitingAtMost: lockLimit, isAlive: isAliveHere)
    } catch {
      if error.errno == ENOENT || error.errno == ENOTDIR { return nil }
      throw IPAMError(error, waited: lockLimit)
    }
  }

  /// The same for a lease to be made.
  func openOrMake() throws(IPAMError) -> LockedLeases {
    if let leases = try open() { return leases }
    do throws(SystemError) {
      try Files.makeDirectory(files.path)
      return try LockedLeases.open(files, index, waitingAtMost: lockLimit, isAlive: isAliveHere)
    } catch {
      throw IPAMError(error, waited: lockLimit)
    }
  }

  /// Keeps the other networks of the data directory from leasing at the same time, where addresses are shared.
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
  /// The owner's addresses: also one leased to its container in host-local's old format, without an interface.
  package func find(_ owner: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    guard let leases = try open() else { return [] }
    do throws(SystemError) {
      return try leases.leases(of: owner).map(\.address)
    } catch {
      throw .system(error)
    }
  }

  /// The addresses of the container's other interfaces in the network.
  package func addresses(besides owner: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    guard let leases = try open() else { return [] }
    do throws(SystemError) {
      return try leases.leases(besides: owner).map(\.address)
    } catch {
      throw .system(error)
    }
  }

  /// Frees the owner's addresses and says which they were; that there is none is success.
  package func release(_ owner: LeaseOwner) throws(IPAMError) -> [IPAddress] {
    guard var leases = try open() else { return [] }
    do throws(SystemError) {
      let own = try leases.leases(of: owner)
      for lease in own { try leases.remove(lease) }
      leases.seal()
      return own.map(\.address)
    } catch {
      throw .system(error)
    }
  }

  /// Frees every lease but those of the owners given, and says which they were.
  ///
  /// What names no owner, such as a file that cannot be read, stays.
  package func collect(
    keeping owners: Set<LeaseOwner>
  ) throws(IPAMError) -> [(owner: LeaseOwner, address: IPAddress)] {
    guard var leases = try open() else { return [] }
    let containers = Set(owners.map(\.containerID))
    var freed: [(owner: LeaseOwner, address: IPAddress)] = []
    do throws(SystemError) {
      for lease in try leases.all() {
        guard let owner = lease.owner, !owners.contains(owner),
          !(owner.interfaceName.isEmpty && containers.contains(owner.containerID))
        else { continue }
        try leases.remove(lease)
        freed.append((owner, lease.address))
      }
      leases.seal()
      return freed
    } catch {
      throw .system(error)
    }
  }

  /// All addresses that the network holds, whoever has them, in no order.
  package func addresses() throws(IPAMError) -> [IPAddress] {
    do throws(SystemError) {
      return try files.names().map(\.address)
    } catch {
      throw .system(error)
    }
  }

  /// Whether this program, and not only host-local, has worked on the directory.
  package var isOurs: Bool { files.hasBeenLookedAt }

  /// Whether the network holds an address of the subnet.
  package func hasLease(in subnet: IPPrefix) throws(IPAMError) -> Bool {
    try addresses().contains { subnet.contains($0) }
  }
}

extension IPAMError {
  /// A failure to get the lock: `locked` where somebody has it.
  init(_ error: SystemError, waited: Duration) {
    self = error.errno == EWOULDBLOCK ? .locked(path: error.subject, waited: waited) : .system(error)
  }
}
