package import Addresses
package import Linux

/// What the programs know of a pod (`struct pod`, Sources/Node/CFastPath/programs/layout.h).
package struct FastPathPod: Sendable, Equatable {
  /// The host's end of its cable.
  package let link: Int32
  package let mac: MACAddress
  /// What it sends to for other networks.
  package let gatewayMAC: MACAddress

  package init(link: Int32, mac: MACAddress, gatewayMAC: MACAddress) {
    self.link = link
    self.mac = mac
    self.gatewayMAC = gatewayMAC
  }

  package init?(value: [UInt8]) {
    guard value.count == FastPathPod.size, let mac = MACAddress(bytes: value[4..<10]),
      let gatewayMAC = MACAddress(bytes: value[10..<16])
    else { return nil }
    link = number(value.prefix(4))
    self.mac = mac
    self.gatewayMAC = gatewayMAC
  }

  package var value: [UInt8] { fourBytes(of: link) + mac.bytes + gatewayMAC.bytes }

  static let size = 16

  /// `struct address`: an IPv4 address as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2).
  package static func key(_ address: IPAddress) -> [UInt8] {
    switch address.family {
    case .v4: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + address.bytes
    case .v6: address.bytes
    }
  }

  /// The address of a key; `nil` for what is none.
  package static func address(_ key: some Collection<UInt8>) -> IPAddress? {
    guard key.count == 16 else { return nil }
    return key.starts(with: ipv4Prefix) ? IPAddress(bytes: Array(key.dropFirst(12))) : IPAddress(bytes: Array(key))
  }

  /// The address of a key, for people.
  package static func text(_ key: [UInt8]) -> String { address(key).map { "\($0)" } ?? "\(key)" }

  private static let ipv4Prefix: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

  /// The map of all pods of this node.
  package static func map() throws(SystemError) -> BPFMap? {
    try BPFMap(pinned: PinnedFastPath.path("pods"), keySize: 16, valueSize: size)
  }
}

/// A 32-bit number in the machine's byte order, which is little endian wherever Causeway runs.
func fourBytes(of number: Int32) -> [UInt8] {
  (0..<4).map { UInt8(truncatingIfNeeded: UInt32(bitPattern: number) >> UInt32(8 * $0)) }
}

/// The same from four bytes.
func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
  Int32(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
}
