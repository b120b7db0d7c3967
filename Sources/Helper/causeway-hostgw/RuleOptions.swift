internal import ArgumentParser
internal import NodeRoutes
internal import NodeRules

/// The options of the packet filter's rules and of routes.
struct RuleOptions: OptionNames {
  @Option(
    help: ArgumentHelp(
      "Masquerade packets from this node's pods to destinations outside of the cluster; the plugin then does not "
        + "(FLANNEL_IPMASQ). --ip-masq alone means true, as with all options that are true or false.", valueName: "bool"
    ))
  var ipMasq = false

  @Option(
    help: ArgumentHelp("Source ports of masqueraded packets: none, random, fully-random.", valueName: "ports"),
    transform: RuleOptions.ports)
  var ipMasqPorts = MasqueradePorts.fullyRandom

  @Option(
    help: ArgumentHelp(
      "Accept pods' packets for forwarding, and report other chains that drop them.", valueName: "bool"))
  var forwardRules = true

  @Option(
    help: ArgumentHelp("Also insert an accept into each chain of other programs that drops them.", valueName: "bool"))
  var forwardInsert = false

  @Option(
    help: ArgumentHelp("Drop packets to unused addresses of this node's subnets.", valueName: "bool"))
  var blackholeRoute = true

  @Option(
    help: ArgumentHelp(
      "Replace or remove the routes and rules that flannel left on this node, and use its vxlan devices; their other "
        + "entries are removed.", valueName: "bool"))
  var takeOverFlannel = false

  @Option(
    help: ArgumentHelp(
      "With vxlan and DirectRouting: pods get the MTU of plain routes, and routes through the tunnel have an MTU of "
        + "their own.", valueName: "bool"))
  var mtuPerRoute = false

  /// The long names.
  static let names = [
    "ip-masq", "ip-masq-ports", "forward-rules", "forward-insert", "blackhole-route", "take-over-flannel",
    "mtu-per-route",
  ]
  /// The names of options that may be given without a value, which then is true.
  static let switches: Set = [
    "ip-masq", "forward-rules", "forward-insert", "blackhole-route", "take-over-flannel", "mtu-per-route",
  ]

  /// - Parameter tracks: whether conntrack must see all packets.
  func ruleSwitches(tracks: Bool) -> RuleSwitches {
    RuleSwitches(
      masquerade: ipMasq ? ipMasqPorts : nil, forwards: forwardRules, insertsAccept: forwardInsert,
      takesOverFlannel: takeOverFlannel, tracks: tracks)
  }

  var routeSwitches: RouteSwitches {
    RouteSwitches(
      guardsSubnets: blackholeRoute, takesOverFlannel: takeOverFlannel, masquerades: ipMasq,
      hasMTUPerRoute: mtuPerRoute)
  }

  private static func ports(_ text: String) throws -> MasqueradePorts {
    guard let ports = MasqueradePorts(rawValue: text) else {
      throw ValidationError(
        "'\(text)' is none of \(MasqueradePorts.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return ports
  }
}
