import Addresses
import IPAM
import Linux
import Testing
import TestSupport

/// A data directory and a state directory for one test, with host-local's operations on the former.
struct LeaseFixture {
  private let temporary: TemporaryDirectory
  var dataDirectory: String { temporary.file("data") }
  var stateDirectory: String { temporary.file("state") }
  /// The directory of the network `net`.
  var path: String { "\(dataDirectory)/net" }

  init() throws { temporary = try TemporaryDirectory() }

  func network(
    _ name: String = "net", shares: Bool = false, alive: Set<LeaseOwner> = [], limit: Duration = .seconds(10)
  ) -> LeaseDirectory {
    LeaseDirectory(
      dataDirectory: dataDirectory, network: name, stateDirectory: stateDirectory,
      sharesAddressesAcrossNetworks: shares, waitingAtMost: limit
    ) { owner, _ in alive.contains(owner) }
  }

  /// Writes a file into the network's directory as host-local does; it is a lease if `name` is an address.
  func write(_ name: String, _ content: String, network: String = "net") throws {
    try Files.makeDirectory("\(dataDirectory)/\(network)")
    try Files.write("\(dataDirectory)/\(network)/\(name)", Array(content.utf8))
  }

  func remove(_ name: String) throws { try Files.remove("\(path)/\(name)") }

  func content(_ name: String) throws -> String? {
    try Files.read("\(path)/\(name)", limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The names in the network's directory, without the lock.
  func names(network: String = "net") throws -> Set<String> {
    Set(try Files.names(in: "\(dataDirectory)/\(network)")).subtracting(["lock"])
  }

  /// The leases of the network's directory by name, with their content.
  func leases(network: String = "net") throws -> [String: String] {
    var leases: [String: String] = [:]
    for name in try names(network: network) where IPAddress(name) != nil {
      let content = (try? Files.read("\(dataDirectory)/\(network)/\(name)", limit: 1 << 20)) ?? []
      leases[name] = String(decoding: content, as: UTF8.self)
    }
    return leases
  }

  /// Simulates a reboot: the state directory is empty, and all leases and the last use are from an earlier boot.
  func reboot() throws {
    try run(["rm", "-rf", stateDirectory]).succeeded()
    for network in try Files.names(in: dataDirectory) {
      for name in try Files.names(in: "\(dataDirectory)/\(network)") {
        try Files.setModified("\(dataDirectory)/\(network)/\(name)", sinceEpoch: .seconds(86400))
      }
      try Files.write("\(dataDirectory)/\(network)/lock", Array("an earlier boot".utf8))
    }
  }
}

/// Reads one range of a set: `10.0.0.0/29`, `10.0.0.0/29 10.0.0.3-10.0.0.5` or either with ` gw 10.0.0.6`.
func range(_ text: String) throws -> AddressRange {
  var parts = text.split(separator: " ").map(String.init)
  var gateway: IPAddress?
  if let index = parts.firstIndex(of: "gw") {
    gateway = IPAddress(parts[index + 1])
    parts.removeSubrange(index...)
  }
  let bounds = parts.count == 2 ? parts[1].split(separator: "-").map { IPAddress(String($0)) } : [nil, nil]
  return try AddressRange(
    subnet: try #require(IPPrefix(parts[0])), start: bounds[0], end: bounds[1], gateway: gateway)
}

/// Reads a set of ranges, each as `range` reads it.
func rangeSet(_ ranges: String...) throws -> RangeSet {
  try RangeSet(try ranges.map { try range($0) })
}

func owner(_ id: String, _ interface: String = "eth0") -> LeaseOwner {
  LeaseOwner(containerID: id, interfaceName: interface)
}

func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

/// Addresses as text, sorted.
func texts(_ addresses: [IPAddress]) -> [String] { addresses.sorted().map(\.description) }

/// Allocated addresses without their lengths.
func texts(_ allocations: [Allocation]) -> [String] { allocations.map(\.address.address.description) }

/// The text of the error that `body` throws.
func errorText(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch {
    return "\(error)"
  }
}
