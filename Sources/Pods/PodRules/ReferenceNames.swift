internal import Attachments

/// An attachment, and what the reference plugins call its rules (plugins v1.9: pkg/utils, pkg/ip, pkg/link).
package struct ReferenceNames: Sendable {
  let network: String
  let containerID: String
  let interfaceName: String

  package init(network: String, containerID: String, interfaceName: String) {
    self.network = network
    self.containerID = containerID
    self.interfaceName = interfaceName
  }

  /// The chain in the tables `nat` that are the program `iptables`' or `ip6tables`'; one for all interfaces of the
  /// container in the network.
  var chain: String { ReferenceNames.chain(network: network, containerID: containerID) }

  static func chain(network: String, containerID: String) -> String {
    "CNI-" + SHA512.hexadecimal(network + containerID).prefix(24)
  }

  /// Whose rule it is that a comment of `iptables` tells: every rule of a container in a network has the same.
  static func containerID(inComment comment: String, of network: String) -> String? {
    // Neither name can hold a quote (SPEC, "Section 2").
    let beginning = "name: \"\(network)\" id: \""
    guard comment.hasPrefix(beginning), comment.hasSuffix("\"") else { return nil }
    let id = comment.dropFirst(beginning.count).dropLast()
    return id.isEmpty ? nil : String(id)
  }

  /// How the comments in `inet cni_plugins_masquerade` begin, for all of a network; names follow that may be cut off.
  static func mark(network: String) -> String { "\(SHA512.hexadecimal(network).prefix(16))-" }

  /// The same for one attachment.
  var mark: String {
    ReferenceNames.mark(network: network) + SHA512.hexadecimal("\(interfaceName):\(containerID)").prefix(16)
  }

  /// The chain of `macspoofchk` in the table `bridge nat`; the network is not in it.
  var guardChain: String { "\(ReferenceNames.guardPrefix)\(containerID)-\(interfaceName)" }

  static let guardPrefix = "cni-br-iface-"
}
