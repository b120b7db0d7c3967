internal import Addresses
internal import Linux

/// The other networks below a data directory, where an address may be held once on the whole node.
struct Neighbours {
  private let networks: [(files: LeaseFiles, rule: LeftOverRule)]
  /// Those that can be believed now: they spare the look at each of many held addresses.
  let indexes: [LeaseIndex]

  init(
    _ networks: [(name: String, files: LeaseFiles, index: LeaseIndex)],
    isAlive: @escaping @Sendable (LeaseOwner, _ network: String) -> Bool
  ) {
    self.networks = networks.map { name, files, index in
      (files, LeftOverRule(files) { isAlive($0, name) })
    }
    indexes = networks.map(\.index).filter(\.agrees)
  }

  /// Whether any of them holds the address; what the last reboot left over counts for nothing.
  func hold(_ address: IPAddress) -> Bool {
    if networks.isEmpty { return false }
    let name = address.description
    return networks.contains { files, rule in
      do throws(SystemError) {
        guard let file = try Files.identity(files.path(of: name)) else { return false }
        return !rule.applies(to: file, of: files.lease(name)?.owner)
      } catch {
        // Whatever it is, it is there.
        return true
      }
    }
  }
}

extension LeaseDirectory {
  /// None where addresses are not shared.
  func neighbours() throws(SystemError) -> Neighbours {
    guard sharesAddressesAcrossNetworks else { return Neighbours([], isAlive: isAlive) }
    let others = try Files.names(in: dataDirectory).filter { $0 != network && !$0.hasPrefix(".") }
    return Neighbours(
      others.map { other in
        let files = LeaseFiles(dataDirectory: dataDirectory, network: other)
        return (other, files, index(of: files))
      }, isAlive: isAlive)
  }
}
