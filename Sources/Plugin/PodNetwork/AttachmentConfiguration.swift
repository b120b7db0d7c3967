internal import Addresses
package import CNI
internal import FastPath
internal import JSON

/// The plugin's own keys of a network configuration, checked, with their defaults.
package struct AttachmentConfiguration: Sendable {
  package let network: NetworkConfiguration
  /// No bridge: the node has a route to each pod.
  let isRouted: Bool
  let bridgeName: String
  /// The bridge carries the gateways' addresses, and the node forwards.
  let isGateway: Bool
  /// Pods get a default route of each family.
  let isDefaultGateway: Bool
  /// Another address on the bridge gives way, instead of failing ADD.
  let forceAddress: Bool
  let hairpin: Bool
  let isPromiscuous: Bool
  let isIsolated: Bool
  /// The port's VLANs; `nil` leaves it where the bridge puts it.
  let vlans: VLANs?
  /// The pod may send from its own MAC only.
  let checksMAC: Bool
  /// `nil`: as the lease says, and not without one.
  let masquerades: Bool?
  /// `nil`: the lease's, where there is one, else the kernel's.
  let mtuBytes: Int?
  /// IPv6 addresses are used only after duplicate address detection.
  let detectsDuplicates: Bool
  /// The container's end is left down, without address.
  let leavesInterfaceDown: Bool
  /// The container's MAC, where one was asked for.
  let requestedMAC: MACAddress?
  /// The configuration's own, which replaces the IPAM section's as a whole.
  let dns: DNS
  /// The built-in IPAM; `nil` where another plugin gives the addresses, or nobody does.
  let addressing: AddressConfiguration?
  /// Another plugin that gives the addresses.
  let delegate: IPAMDelegate?
  /// The pod may use what the runtime's other plugins leave to it of the line (the capability `bandwidth`).
  let isLimited: Bool
  /// The runtime says here whether it is: the configuration declares the capability.
  let tellsLimits: Bool
  /// Where the node's lease is, and who writes it.
  let leaseSource: LeaseSource
  /// Whose keys and defaults these are.
  let type: PluginType

  /// Reads and checks all keys; nothing is touched.
  ///
  /// - Throws: `JSONError` for a value of the wrong kind, `CNIError` for one that makes no sense, `IPAMError` for ranges.
  package init(_ network: NetworkConfiguration, arguments: Arguments, as type: PluginType = .causeway) throws {
    let fields = try type.fields(of: network)
    self.network = network
    self.type = type
    isRouted = try AttachmentConfiguration.isRouted(fields)
    bridgeName = try AttachmentConfiguration.bridgeName(fields)
    let isGateway = try fields.bool("isGateway")
    // Who only says that the bridge is no gateway means that it is nobody's default gateway either.
    isDefaultGateway = try fields.bool("isDefaultGateway") ?? (type == .causeway && isGateway ?? true)
    self.isGateway = isGateway ?? (type != .bridge) || isDefaultGateway
    forceAddress = try fields.bool("forceAddress") ?? false
    isPromiscuous = try fields.bool("promiscMode") ?? false
    hairpin = try fields.bool("hairpinMode") ?? (type == .causeway && !isPromiscuous)
    guard !(hairpin && isPromiscuous) else {
      throw CNIError(
        .invalidConfiguration, "cannot set hairpin mode and promiscuous mode at the same time",
        details: "set hairpinMode or promiscMode to false")
    }
    isIsolated = try fields.bool("portIsolation") ?? false
    vlans = try VLANs(fields)
    checksMAC = try fields.bool("macspoofchk") ?? false
    // The reference's default does not hang on a lease.
    masquerades = try AttachmentConfiguration.masquerades(fields) ?? (type == .bridge ? false : nil)
    mtuBytes = try AttachmentConfiguration.mtuBytes(fields)
    detectsDuplicates = try fields.bool("enabledad") ?? false
    leavesInterfaceDown = try fields.bool("disableContainerInterface") ?? false
    requestedMAC = try AttachmentConfiguration.requestedMAC(fields, arguments)
    isLimited = try fields.fields("runtimeConfig")?.fields("bandwidth") != nil
    tellsLimits = fields.value("capabilities")?.object?["bandwidth"] == true
    dns = try fields.fields("dns").map(DNS.init) ?? DNS()
    leaseSource = try LeaseSource(fields, for: type)
    switch try IPAMChoice(fields, type) {
    case .nobody:
      addressing = nil
      delegate = nil
    case .builtIn:
      addressing = try AddressConfiguration(network, fields, arguments: arguments)
      delegate = nil
    case .delegate(let name):
      addressing = nil
      delegate = try IPAMDelegate(type: name, network)
    }
    guard !leavesInterfaceDown || (addressing == nil && delegate == nil) else {
      throw CNIError(
        .invalidConfiguration, "cannot use IPAM when DisableContainerInterface flag is set",
        details: "remove ipam.type or disableContainerInterface")
    }
    if isRouted { try RoutedPod.check(self) }
    if self.isGateway, hasAddresses { _ = try vlans?.gatewayLinkName(bridge: bridgeName) }
  }

  /// Whether the pod gets addresses at all.
  var hasAddresses: Bool { addressing != nil || delegate != nil }

  /// Whether the pod's packets may pass bridge and rules by: it sends what leaves its network to this node, and nobody
  /// limits it.
  var mayUseFastPath: Bool {
    hasAddresses && !isLimited && (isRouted || isGateway && vlans == nil && !leavesInterfaceDown)
  }

  static let defaultBridgeName = "cni0"

  private static func bridgeName(_ fields: JSONFields) throws -> String {
    guard let name = try fields.text("bridge") else { return defaultBridgeName }
    do throws(CNIError) {
      try Name.checkInterface(name)
    } catch {
      throw CNIError(.invalidConfiguration, "bridge \"\(name)\": \(error.message)", details: error.details)
    }
    return name
  }

  /// Both backends of the reference mean nf_tables here: the kernel keeps one set of rules, whoever writes them.
  private static func masquerades(_ fields: JSONFields) throws -> Bool? {
    let backend = try fields.string("ipMasqBackend") ?? ""
    guard ["", "iptables", "nftables"].contains(backend) else {
      throw CNIError(
        .invalidConfiguration, "unknown ipmasq backend \"\(backend)\"", details: "leave ipMasqBackend out")
    }
    return try fields.bool("ipMasq")
  }

  /// The kernel's limits for Ethernet: 68 bytes is IPv4's least (RFC 791), 65,535 a veth's most.
  private static func mtuBytes(_ fields: JSONFields) throws -> Int? {
    guard let mtu = try fields.number("mtu", Int.self), mtu != 0 else { return nil }
    guard (68...65535).contains(mtu) else {
      throw CNIError(.invalidConfiguration, "mtu must be 0 or from 68 to 65535 bytes, but is \(mtu)")
    }
    return mtu
  }

  /// The capability wins over `args`, `args` over CNI_ARGS.
  private static func requestedMAC(_ fields: JSONFields, _ arguments: Arguments) throws -> MACAddress? {
    let candidates = [
      ("runtimeConfig.mac", try fields.fields("runtimeConfig")?.text("mac")),
      ("args.cni.mac", try fields.fields("args")?.fields("cni")?.text("mac")),
      ("MAC in CNI_ARGS", arguments["MAC"]),
    ]
    guard let (source, text) = candidates.first(where: { $0.1?.isEmpty == false }), let text else {
      return nil
    }
    // The kernel takes no address of zeros (include/linux/etherdevice.h, `is_valid_ether_addr`).
    guard let mac = MACAddress(text), mac.isUnicast, mac.bytes != [0, 0, 0, 0, 0, 0] else {
      throw CNIError(
        .invalidConfiguration,
        "\(source) must be a unicast MAC address such as 0a:58:0a:f4:01:07, but is \"\(text)\"")
    }
    return mac
  }

  /// A way to cable pods that there is not: better no pod than one that lacks what its configuration says.
  private static func isRouted(_ fields: JSONFields) throws -> Bool {
    switch try fields.text("mode") {
    case nil, "bridge": return false
    case "routed": return true
    case .some(let mode):
      throw CNIError(
        .unsupportedField, "mode = \"\(mode)\" is not supported", details: "there are \"bridge\" and \"routed\"")
    }
  }
}
