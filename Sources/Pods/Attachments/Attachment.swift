package import Addresses

/// One interface of one container in one network: what CNI calls an attachment (SPEC, "Section 2").
package struct Attachment: Sendable, Hashable {
  /// Name of the network.
  package let network: String
  /// ID of the container (CNI_CONTAINERID).
  package let containerID: String
  /// Name of the pod's interface (CNI_IFNAME).
  package let interfaceName: String

  package init(network: String, containerID: String, interfaceName: String) {
    self.network = network
    self.containerID = containerID
    self.interfaceName = interfaceName
  }

  /// The three names with colons between, which no name can hold. It names the attachment's record and marks its link
  /// (IFLA_IFALIAS, 255 bytes). Where it would be too long, a hash replaces its end, but never the network's name.
  package var key: String {
    let whole = "\(network):\(containerID):\(interfaceName)"
    guard whole.utf8.count > 220 else { return whole }
    return String(decoding: whole.utf8.prefix(203), as: UTF8.self) + "#"
      + hexadecimal(stableHash(whole.utf8), digits: 16)
  }

  /// The mark of the attachment's host link (IFLA_IFALIAS).
  package var linkAlias: String { Attachment.aliasPrefix + key }

  /// The beginning of the alias of every link that the plugin makes.
  package static let aliasPrefix = "causeway:"

  /// Prefix of the keys of a network's attachments.
  package static func keyPrefix(network: String) -> String { "\(network):" }

  /// Name of the host's end of the veth pair. It is the same in every execution, so that DEL finds it without a record.
  ///
  /// - Parameter attempt: counts from 0; ADD takes the next name if another link has this one.
  package func hostLinkName(attempt: Int) -> String {
    let hash = stableHash("\(network):\(containerID):\(interfaceName):\(attempt)".utf8)
    return "veth" + hexadecimal(hash >> 32 ^ hash & 0xFFFF_FFFF, digits: 8)
  }

  /// MAC of the host's end, which follows from the attachment as the link's name does; unicast and locally administered.
  package var hostLinkMAC: MACAddress {
    MACAddress(localBits: stableHash("\(network):\(containerID):\(interfaceName)".utf8))
  }

  /// Number of names that ADD tries for the host's end.
  package static let hostLinkAttempts = 10
}

/// The value in hexadecimal, filled with zeros on the left.
package func hexadecimal(_ value: UInt64, digits: Int) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
