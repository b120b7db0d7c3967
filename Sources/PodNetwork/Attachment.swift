internal import Addresses

/// One interface of one container in one network: what CNI calls an attachment (SPEC, "Section 2").
package struct Attachment: Sendable, Hashable {
  package let network: String
  package let containerID: String
  package let interfaceName: String

  package init(network: String, containerID: String, interfaceName: String) {
    self.network = network
    self.containerID = containerID
    self.interfaceName = interfaceName
  }

  /// The three names with colons between, which none of them can hold. It names the attachment's record and marks its
  /// link (IFLA_IFALIAS, 255 bytes); where it would be too long, a hash stands for its end, but never for the network.
  var key: String {
    let whole = "\(network):\(containerID):\(interfaceName)"
    guard whole.utf8.count > 220 else { return whole }
    return String(decoding: whole.utf8.prefix(203), as: UTF8.self) + "#"
      + hexadecimal(fnv1a(whole), digits: 16)
  }

  /// How the keys of a network's attachments begin.
  static func keyPrefix(network: String) -> String { "\(network):" }

  /// The name of the host's end of the cable; the same at every execution, so that DEL finds it without a record.
  ///
  /// `attempt` counts from 0: where somebody else's link has the name, the next one is taken.
  func hostLinkName(attempt: Int) -> String {
    let hash = fnv1a("\(network):\(containerID):\(interfaceName):\(attempt)")
    return "veth" + hexadecimal(hash >> 32 ^ hash & 0xFFFF_FFFF, digits: 8)
  }

  /// The MAC of the host's end, always the same as its name is; unicast and locally administered.
  var hostLinkMAC: MACAddress {
    MACAddress(localBits: fnv1a("\(network):\(containerID):\(interfaceName)"))
  }

  /// How many names for the host's end are tried.
  static let hostLinkAttempts = 10
}

/// FNV-1a, 64 bits: names need spreading, not secrecy.
private func fnv1a(_ text: String) -> UInt64 {
  text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}

private func hexadecimal(_ value: UInt64, digits: Int) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
