package import Addresses
package import Linux

/// Link and MAC addresses of a pod: a value of the map `pods` (`struct pod`, Sources/Node/CFastPath/programs/layout.h).
package struct FastPathPod: Sendable, Equatable {
  /// Index of the host's end of the pod's veth pair.
  package let link: Int32
  /// The MAC address of the pod's interface.
  package let mac: MACAddress
  /// The MAC address of the pod's gateway: the bridge's, or the host end's where there is no bridge.
  package let gatewayMAC: MACAddress

  /// Creates a value for the map.
  package init(link: Int32, mac: MACAddress, gatewayMAC: MACAddress) {
    self.link = link
    self.mac = mac
    self.gatewayMAC = gatewayMAC
  }

  /// Reads a value of the map; `nil` if it has another size.
  package init?(value: [UInt8]) {
    guard value.count == FastPathPod.size, let mac = MACAddress(bytes: value[4..<10]),
      let gatewayMAC = MACAddress(bytes: value[10..<16])
    else { return nil }
    link = number(value.prefix(4))
    self.mac = mac
    self.gatewayMAC = gatewayMAC
  }

  /// The value in the map.
  package var value: [UInt8] { fourBytes(of: link) + mac.bytes + gatewayMAC.bytes }

  /// Size of `struct pod` in bytes.
  static let size = 16
  /// Size of `struct address` in bytes.
  static let keySize = 16

  /// The key of an address in the maps (`struct address`). An IPv4 address is stored as ::ffff:a.b.c.d (RFC 4291,
  /// section 2.5.5.2).
  package static func key(_ address: IPAddress) -> [UInt8] {
    switch address.family {
    case .v4: mappedPrefix + address.bytes
    case .v6: address.bytes
    }
  }

  /// The address of a key; `nil` if the key has another size than an address.
  package static func address(_ key: some Collection<UInt8>) -> IPAddress? {
    guard key.count == keySize else { return nil }
    guard key.starts(with: mappedPrefix) else { return IPAddress(bytes: Array(key)) }
    return IPAddress(bytes: Array(key.dropFirst(mappedPrefix.count)))
  }

  /// The address of a key as text for logs; for a key that is not an address, its bytes.
  package static func text(_ key: [UInt8]) -> String { address(key).map { "\($0)" } ?? "\(key)" }

  /// The first bytes of an IPv4-mapped IPv6 address.
  private static let mappedPrefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

  /// Opens the map of this node's pods; `nil` if this node has no fast path.
  package static func map() throws(SystemError) -> BPFMap? {
    try BPFMap(pinned: PinnedFastPath.path("pods"), keySize: keySize, valueSize: size)
  }
}

/// The bytes of a 32-bit number in the machine's byte order, which is little endian wherever Causeway runs.
func fourBytes(of number: Int32) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: UInt32(bitPattern: number) >> UInt32(8 * $0)) }
}

/// The 32-bit number that four bytes are in the machine's byte order.
func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
  Int32(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
}
