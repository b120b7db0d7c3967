internal import ArgumentParser
internal import NodeRoutes
internal import NodeRules

/// The options about packet filter and blackhole routes.
struct RuleOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "This node masquerades what its pods send out of the cluster, so the plugin shall not (FLANNEL_IPMASQ); "
        + "--ip-masq alone means true, as with all that are true or false.", valueName: "bool"))
  var ipMasq = false

  @Option(
    help: ArgumentHelp("The ports of what is masqueraded: none, random, fully-random.", valueName: "ports"),
    transform: RuleOptions.ports)
  var ipMasqPorts = MasqueradePorts.fullyRandom

  @Option(
    help: ArgumentHelp("Accept pods' packets for forwarding, and tell what else drops them.", valueName: "bool"))
  var forwardRules = true

  @Option(
    help: ArgumentHelp("Accept them also in each chain of others that drops them.", valueName: "bool"))
  var forwardInsert = false

  @Option(
    help: ArgumentHelp("Swallow what is sent to addresses of this node's subnets that no pod has.", valueName: "bool"))
  var blackholeRoute = true

  @Option(
    help: ArgumentHelp(
      "Replace or remove the routes and rules that flannel left on this node, and use its vxlan devices, whose other "
        + "entries go.", valueName: "bool"))
  var takeOverFlannel = false

  @Option(
    help: ArgumentHelp(
      "With vxlan and DirectRouting: pods may send what a plain route carries, and routes through the tunnel have an MTU "
        + "of their own.", valueName: "bool"))
  var mtuPerRoute = false

  /// The long names.
  static let names = [
    "ip-masq", "ip-masq-ports", "forward-rules", "forward-insert", "blackhole-route", "take-over-flannel",
    "mtu-per-route",
  ]
  /// Those that may stand without a value, which then is true.
  static let switches: Set = [
    "ip-masq", "forward-rules", "forward-insert", "blackhole-route", "take-over-flannel", "mtu-per-route",
  ]

  /// - Parameter tracks: whether conntrack is to see all packets.
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
