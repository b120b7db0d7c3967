internal import Addresses
internal import Linux

/// The other networks of a data directory, for nodes on which no two networks may hold the same address.
struct OtherNetworks {
  private let networks: [(files: LeaseFiles, rule: LeftOverRule)]
  /// The indexes that agree with their directories: with them many held addresses are skipped at once.
  let indexes: [LeaseIndex]

  init(
    _ networks: [(name: String, files: LeaseFiles, index: LeaseIndex)],
    isAlive: @escaping @Sendable (LeaseOwner, _ network: String) -> Bool
  ) {
    self.networks = networks.map { name, files, index in
      (files, LeftOverRule(files) { isAlive($0, name) })
    }
    indexes = networks.map { $0.index }.filter { $0.isCurrent }
  }

  /// Whether any of the networks holds the address; leases of pods that the last reboot ended do not count.
  func hold(_ address: IPAddress) -> Bool {
    if networks.isEmpty { return false }
    let name = address.description
    return networks.contains { files, rule in
      do throws(SystemError) {
        guard let file = try Files.identity(files.path(of: name)) else { return false }
        return !rule.applies(to: file, of: files.lease(name)?.owner)
      } catch {
        // A file that cannot be examined exists, so the address is held.
        return true
      }
    }
  }
}

extension LeaseDirectory {
  /// The other networks below the data directory; none if addresses are not shared across networks.
  func otherNetworks() throws(SystemError) -> OtherNetworks {
    guard sharesAddressesAcrossNetworks else { return OtherNetworks([], isAlive: isAlive) }
    let names = try Files.names(in: dataDirectory).filter { $0 != network && !$0.hasPrefix(".") }
    return OtherNetworks(
      names.map { name in
        let files = LeaseFiles(dataDirectory: dataDirectory, network: name)
        return (name, files, index(of: files))
      }, isAlive: isAlive)
  }
}
