internal import Addresses
package import CNI
internal import JSON
internal import NodeState

/// The plugin's own keys of a network configuration, checked, with their defaults, as one specification for each part.
package struct AttachmentConfiguration: Sendable {
  package let network: NetworkConfiguration
  let mode: AttachmentMode
  /// For mode `bridge`, and for CHECK of a pod that an earlier configuration put on a bridge.
  let bridged: BridgedSpec
  let interface: InterfaceSpec
  let routes: RouteSpec
  let rules: RuleSpec
  let fastPath: FastPathSpec
  /// The configuration's `dns`, which replaces the IPAM section's as a whole.
  let dns: DNS
  /// The built-in IPAM; `nil` where another plugin gives the addresses, or the pod has none.
  let addressing: AddressConfiguration?
  /// Another plugin that gives the addresses.
  let delegate: IPAMDelegate?
  /// Files with the node's lease, and the helper that writes them.
  let leaseSource: LeaseSource
  /// Directory of records, locks and the index of leases.
  let state: StateDirectory

  /// Reads and checks all keys; nothing is touched.
  ///
  /// - Throws: `JSONError` for a value of the wrong kind, `CNIError` for one that makes no sense, `IPAMError` for ranges.
  package init(_ network: NetworkConfiguration, arguments: Arguments, as type: PluginType = .causeway)
    throws(PodNetworkError)
  {
    let fields = try type.fields(of: network)
    self.network = network
    mode = try AttachmentConfiguration.mode(fields)
    let bridgeName = try AttachmentConfiguration.bridgeName(fields)
    let isGateway = try fromJSON(fields.bool("isGateway"))
    // A configuration that only says that the bridge is no gateway means that it is no default gateway either.
    let isDefaultGateway = try fromJSON(fields.bool("isDefaultGateway")) ?? (type == .causeway && isGateway ?? true)
    let forcesAddress = try fromJSON(fields.bool("forceAddress")) ?? false
    let isPromiscuous = try fromJSON(fields.bool("promiscMode")) ?? false
    let hairpin = try fromJSON(fields.bool("hairpinMode")) ?? (type == .causeway && !isPromiscuous)
    guard !(hairpin && isPromiscuous) else {
      throw PodNetworkError(
        .invalidConfiguration, "cannot set hairpin mode and promiscuous mode at the same time",
        details: "set hairpinMode or promiscMode to false")
    }
    let port = PortSpec(
      hairpin: hairpin, isIsolated: try fromJSON(fields.bool("portIsolation")) ?? false, vlans: try VLANs(fields))
    let checksMAC = try fromJSON(fields.bool("macspoofchk")) ?? false
    // The reference's default does not depend on a lease.
    let masquerades = try AttachmentConfiguration.masquerades(fields) ?? (type == .bridge ? false : nil)
    rules = RuleSpec(masquerades: masquerades, checksMAC: checksMAC)
    interface = try InterfaceSpec(fields, arguments)
    routes = RouteSpec(hasDefault: isDefaultGateway, reachesCluster: type == .flannel)
    fastPath = FastPathSpec(
      isLimited: try fromJSON(fields.fields("runtimeConfig")?.fields("bandwidth")) != nil,
      announcesLimits: fields.value("capabilities")?.object?["bandwidth"] == true)
    dns =
      try fromJSON(fields.fields("dns")).map { fields throws(PodNetworkError) in try fromJSON(DNS(fields)) } ?? DNS()
    leaseSource = try LeaseSource(fields, for: type)
    state = try StateDirectory(fields, for: type)
    (addressing, delegate) = try AttachmentConfiguration.ipam(network, fields, arguments, type)
    let gatewayLink = GatewayLinkSpec(
      name: (try? port.vlans?.gatewayLinkName(bridge: bridgeName)) ?? bridgeName,
      dataDirectory: AddressConfiguration.dataDirectory(try? fields.fields("ipam")))
    bridged = BridgedSpec(
      bridge: BridgeSpec(name: bridgeName, isPromiscuous: isPromiscuous), port: port,
      gateways: GatewaySpec(
        isEnabled: isGateway ?? (type != .bridge) || isDefaultGateway, forcesAddress: forcesAddress, link: gatewayLink))
    try check()
  }

  /// Checks the keys against each other.
  private func check() throws(PodNetworkError) {
    guard !interface.isLeftDown || !hasAddresses else {
      throw PodNetworkError(
        .invalidConfiguration, "cannot use IPAM when DisableContainerInterface flag is set",
        details: "remove ipam.type or disableContainerInterface")
    }
    if mode == .routed { try checkRouted() }
    if bridged.gateways.isEnabled, hasAddresses {
      _ = try bridged.port.vlans?.gatewayLinkName(bridge: bridged.bridge.name)
    }
  }

  /// Refuses keys that have no meaning without a bridge: the pod would lack what its configuration says.
  private func checkRouted() throws(PodNetworkError) {
    let meaningless: [(String, Bool)] = [
      ("promiscMode", bridged.bridge.isPromiscuous), ("macspoofchk", rules.checksMAC),
      ("portIsolation", bridged.port.isIsolated), ("forceAddress", bridged.gateways.forcesAddress),
      ("vlan or vlanTrunk", bridged.port.vlans != nil),
      ("disableContainerInterface", interface.isLeftDown), ("enabledad", interface.detectsDuplicates),
    ]
    if let (key, _) = meaningless.first(where: { $0.1 }) {
      throw PodNetworkError(
        .unsupportedField, "\(key) is not supported with mode = \"routed\"",
        details: "it is about the pod's port of a bridge: remove it, or set mode to \"bridge\"")
    }
    guard hasAddresses else {
      throw PodNetworkError(
        .invalidConfiguration, "mode = \"routed\" needs addresses",
        details: "give an ipam section, or set mode to \"bridge\"")
    }
  }

  /// For mode `routed`.
  var routed: RoutedSpec { RoutedSpec(bridgeName: bridged.bridge.name) }

  /// Whether the pod gets addresses at all.
  var hasAddresses: Bool { addressing != nil || delegate != nil }

  /// Whether the pod's packets may bypass bridge and rules: the pod sends what leaves its network to this node, and has
  /// no bandwidth limit.
  var mayUseFastPath: Bool {
    guard hasAddresses, !fastPath.isLimited else { return false }
    return switch mode {
    case .routed: true
    case .bridge: bridged.gateways.isEnabled && bridged.port.vlans == nil && !interface.isLeftDown
    }
  }

  static let defaultBridgeName = "cni0"

  /// The built-in IPAM or the delegate that gives the addresses; neither for a pod on layer 2.
  private static func ipam(
    _ network: NetworkConfiguration, _ fields: JSONFields, _ arguments: Arguments, _ type: PluginType
  ) throws(PodNetworkError) -> (AddressConfiguration?, IPAMDelegate?) {
    switch try IPAMChoice(fields, type) {
    case .nobody: (nil, nil)
    case .builtIn: (try AddressConfiguration(network, fields, arguments: arguments), nil)
    case .delegate(let name): (nil, try IPAMDelegate(type: name, network))
    }
  }

  /// Name of the bridge, checked.
  private static func bridgeName(_ fields: JSONFields) throws(PodNetworkError) -> String {
    guard let name = try fromJSON(fields.text("bridge")) else { return defaultBridgeName }
    do throws(CNIError) {
      try Name.checkInterface(name)
    } catch {
      throw PodNetworkError(.invalidConfiguration, "bridge \"\(name)\": \(error.message)", details: error.details)
    }
    return name
  }

  /// Both backends of the reference mean nf_tables here: the kernel keeps one set of rules for both.
  private static func masquerades(_ fields: JSONFields) throws(PodNetworkError) -> Bool? {
    let backend = try fromJSON(fields.string("ipMasqBackend")) ?? ""
    guard ["", "iptables", "nftables"].contains(backend) else {
      throw PodNetworkError(
        .invalidConfiguration, "unknown ipmasq backend \"\(backend)\"", details: "leave ipMasqBackend out")
    }
    return try fromJSON(fields.bool("ipMasq"))
  }

  /// - Throws: code 2 for a mode that does not exist: the pod would lack what its configuration says.
  private static func mode(_ fields: JSONFields) throws(PodNetworkError) -> AttachmentMode {
    switch try fromJSON(fields.text("mode")) {
    case nil, "bridge": return .bridge
    case "routed": return .routed
    case .some(let mode):
      throw PodNetworkError(
        .unsupportedField, "mode = \"\(mode)\" is not supported", details: "there are \"bridge\" and \"routed\"")
    }
  }
}

extension InterfaceSpec {
  /// Reads the keys about the pod's interface.
  fileprivate init(_ fields: JSONFields, _ arguments: Arguments) throws(PodNetworkError) {
    mtuBytes = try InterfaceSpec.mtuBytes(fields)
    detectsDuplicates = try fromJSON(fields.bool("enabledad")) ?? false
    isLeftDown = try fromJSON(fields.bool("disableContainerInterface")) ?? false
    requestedMAC = try InterfaceSpec.requestedMAC(fields, arguments)
  }

  /// The kernel's limits for Ethernet: 68 bytes is IPv4's least (RFC 791), 65,535 a veth's most.
  private static func mtuBytes(_ fields: JSONFields) throws(PodNetworkError) -> Int? {
    guard let mtu = try fromJSON(fields.number("mtu", Int.self)), mtu != 0 else { return nil }
    guard (68...65535).contains(mtu) else {
      throw PodNetworkError(.invalidConfiguration, "mtu must be 0 or from 68 to 65535 bytes, but is \(mtu)")
    }
    return mtu
  }

  /// The capability `mac` has precedence over `args`, and `args` over CNI_ARGS.
  private static func requestedMAC(_ fields: JSONFields, _ arguments: Arguments) throws(PodNetworkError) -> MACAddress?
  {
    let candidates = [
      ("runtimeConfig.mac", try fromJSON(fields.fields("runtimeConfig")?.text("mac"))),
      ("args.cni.mac", try fromJSON(fields.fields("args")?.fields("cni")?.text("mac"))),
      ("MAC in CNI_ARGS", arguments["MAC"]),
    ]
    guard let (source, text) = candidates.first(where: { $0.1?.isEmpty == false }), let text else {
      return nil
    }
    // The kernel takes no address of zeros (include/linux/etherdevice.h, `is_valid_ether_addr`).
    guard let mac = MACAddress(text), mac.isUnicast, mac.bytes != [0, 0, 0, 0, 0, 0] else {
      throw PodNetworkError(
        .invalidConfiguration,
        "\(source) must be a unicast MAC address such as 0a:58:0a:f4:01:07, but is \"\(text)\"")
    }
    return mac
  }
}
