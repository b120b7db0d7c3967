internal import Attachments

/// Names that the reference plugins give to an attachment's rules (plugins v1.9: pkg/utils, pkg/ip, pkg/link).
package struct ReferenceNames: Sendable {
  let network: String
  let containerID: String
  let interfaceName: String

  package init(network: String, containerID: String, interfaceName: String) {
    self.network = network
    self.containerID = containerID
    self.interfaceName = interfaceName
  }

  /// Chain in the tables `nat` of the programs `iptables` and `ip6tables`, for all interfaces of the container in the
  /// network.
  var chain: String { ReferenceNames.chain(network: network, containerID: containerID) }

  static func chain(network: String, containerID: String) -> String {
    "CNI-" + SHA512.hexadecimal(network + containerID).prefix(24)
  }

  /// Container that a comment of `iptables` names; `nil` for another comment. All rules of a container in a network have
  /// one comment.
  static func containerID(inComment comment: String, of network: String) -> String? {
    // Neither name can hold a quote (SPEC, "Section 2").
    let beginning = "name: \"\(network)\" id: \""
    guard comment.hasPrefix(beginning), comment.hasSuffix("\"") else { return nil }
    let id = comment.dropFirst(beginning.count).dropLast()
    return id.isEmpty ? nil : String(id)
  }

  /// Beginning of the comments of a network in `inet cni_plugins_masquerade`; names follow that may be cut off.
  static func mark(network: String) -> String { "\(SHA512.hexadecimal(network).prefix(16))-" }

  /// Beginning of the attachment's comments in `inet cni_plugins_masquerade`.
  var mark: String {
    ReferenceNames.mark(network: network) + SHA512.hexadecimal("\(interfaceName):\(containerID)").prefix(16)
  }

  /// Chain of `macspoofchk` in the table `bridge nat`; its name does not name the network.
  var guardChain: String { "\(ReferenceNames.guardPrefix)\(containerID)-\(interfaceName)" }

  static let guardPrefix = "cni-br-iface-"
}
