internal import Addresses
internal import ArgumentParser
internal import FastPath
internal import Logging
internal import NodeFastPath
internal import NodeRules
internal import NodeState
internal import OwnNode

/// Where the nodes come from.
enum StoreKind: String, CaseIterable {
  case file
  case etcd
  case kubernetes
}

/// The options of every command. Each may also stand in the environment and in a configuration file, see `OptionSources`.
struct Options: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Read options from a JSON file, - for standard input; its keys are the long names.", valueName: "file"))
  var config: String?

  @Option(
    help: ArgumentHelp("Where the nodes come from: file, etcd or kubernetes.", valueName: "store"),
    transform: Options.store)
  var store = StoreKind.file

  @Option(help: ArgumentHelp("The nodes and the cluster's network, as JSON.", valueName: "file"))
  var nodesFile = DefaultPaths.nodesFile

  @OptionGroup(title: "Options of etcd") var etcd: EtcdOptions

  @OptionGroup(title: "Options of Kubernetes") var kubernetes: KubernetesOptions

  @Option(
    help: "Which node this is. (default: the host name, else by address; with kubernetes NODE_NAME, else the host name)"
  )
  var nodeName: String?

  @Option(
    help: ArgumentHelp(
      "The link that holds this node's addresses; of several (repeated, or with commas) the first that does. (default: that of the default route)",
      valueName: "name or address"))
  var iface: [String] = []

  @Option(
    help: ArgumentHelp(
      "The same by a pattern that is looked for in names and addresses, after --iface; may be repeated.",
      valueName: "regular expression"), transform: Options.pattern)
  var ifaceRegex: [String] = []

  @Option(
    help: ArgumentHelp(
      "The same by an address that the kernel sends to by that link, after the others; may be repeated, or with commas.",
      valueName: "address"), transform: Options.addresses)
  var ifaceCanReach: [[IPAddress]] = []

  @Option(
    help: ArgumentHelp("The IPv4 address by which other nodes reach this one.", valueName: "address"),
    transform: { try Options.address($0, .v4) })
  var publicIp: IPAddress?

  @Option(
    name: .customLong("public-ipv6"),
    help: ArgumentHelp("The IPv6 address by which other nodes reach this one.", valueName: "address"),
    transform: { try Options.address($0, .v6) })
  var publicIPv6: IPAddress?

  @Option(help: ArgumentHelp("Where this node's lease is written for the plugin.", valueName: "file"))
  var subnetFile = DefaultPaths.subnetFile

  @Option(help: ArgumentHelp("Where locks and marks are kept.", valueName: "directory"))
  var stateDir = DefaultPaths.stateDirectory

  @Option(help: ArgumentHelp("A copy of the lease that survives a reboot.", valueName: "file"))
  var leaseCopy = DefaultPaths.leaseCopy

  @OptionGroup(title: "Options of rules and blackhole routes") var rules: RuleOptions

  @Option(
    help: ArgumentHelp(
      "Carry established flows between pods past bridge and packet filter: off, auto (where the kernel can), on.",
      valueName: "mode"),
    transform: { try Options.word($0) })
  var fastPath = FastPathMode.off

  @Option(
    help: ArgumentHelp(
      "How the fast path knows that nobody translates a flow: conntrack, sight. (default: conntrack, where the kernel can)",
      valueName: "way"),
    transform: { try Options.word($0) })
  var fastPathFlows: FlowKnowledge?

  @Option(
    help: ArgumentHelp("The runtime's network configuration, to be put in --cni-conf-file.", valueName: "file"))
  var cniConfSource: String?

  @Option(
    help: ArgumentHelp(
      "Where the runtime reads it; it is put there last, when pods can be served.", valueName: "file"))
  var cniConfFile: String?

  @Option(
    help: ArgumentHelp(
      "How often what is left of pods that are no more is deleted, for the network of --cni-conf-file; 0s for never. "
        + "(default: 10m)",
      valueName: "time"),
    transform: TimeText.duration)
  var gcInterval = Duration.seconds(600)

  @Option(help: ArgumentHelp("Where the plugin is, which deletes it.", valueName: "directory"))
  var cniBinDir = "/opt/cni/bin"

  @Option(help: ArgumentHelp("Where /healthz, /readyz and /metrics are served.", valueName: "address"))
  var healthzIp = "127.0.0.1"

  @Option(help: ArgumentHelp("The port for them; 0 for none.", valueName: "port"), transform: Options.port)
  var healthzPort = 0

  @Option(
    help: ArgumentHelp(
      "How much is told: trace, debug, info, notice, warning, error, critical.", valueName: "level"),
    transform: Options.level)
  var logLevel = Logger.Level.info

  @Option(help: "How it is told.")
  var logFormat = LogFormat.text

  /// The long names of all options but `config`, which names the other source itself.
  static let names =
    [
      "store", "nodes-file", "node-name", "iface", "iface-regex", "iface-can-reach", "public-ip", "public-ipv6",
      "subnet-file", "state-dir", "lease-copy", "fast-path", "fast-path-flows", "cni-conf-source", "cni-conf-file",
      "gc-interval",
      "cni-bin-dir", "healthz-ip", "healthz-port",
      "log-level", "log-format",
    ] + EtcdOptions.names + KubernetesOptions.names + RuleOptions.names
  /// Those that may stand without a value, which then is true.
  static let switches = RuleOptions.switches.union(KubernetesOptions.switches)
  /// Those that may be given more than once; all values come from one source.
  static let lists: Set = ["iface", "iface-regex", "iface-can-reach"]

  var ruleSwitches: RuleSwitches { rules.ruleSwitches(tracks: fastPath != .off) }

  var fastPathReconciler: FastPathReconciler {
    FastPathReconciler(mode: fastPath, knowledge: fastPathFlows, stateDirectory: stateDir)
  }

  /// Which links and addresses are this node's. An empty value, such as a variable of a script that is not set, counts
  /// as none.
  var interfaceSelection: InterfaceSelection {
    InterfaceSelection(
      names: iface.flatMap { $0.split(separator: ",").map { String($0) } }, patterns: ifaceRegex.filter { !$0.isEmpty },
      reachable: ifaceCanReach.flatMap { $0 }, publicAddresses: [publicIp, publicIPv6].compactMap { $0 })
  }

  private static func address(_ text: String, _ family: IPFamily) throws -> IPAddress {
    guard let address = IPAddress(text), address.family == family else {
      throw ValidationError("'\(text)' is no \(family) address.")
    }
    return address
  }

  private static func addresses(_ text: String) throws -> [IPAddress] {
    try text.split(separator: ",").map { part in
      guard let address = IPAddress(String(part)) else { throw ValidationError("'\(part)' is no address.") }
      return address
    }
  }

  private static func port(_ text: String) throws -> Int {
    guard let port = Int(text), (0...65535).contains(port) else {
      throw ValidationError("'\(text)' is no port: give a number from 0 to 65535.")
    }
    return port
  }

  /// The pattern itself, where it is one.
  private static func pattern(_ text: String) throws -> String {
    do {
      _ = try InterfacePattern(text)
    } catch {
      throw ValidationError("'\(text)' is no regular expression: \(error)")
    }
    return text
  }

  private static func store(_ text: String) throws -> StoreKind {
    guard let store = StoreKind(rawValue: text) else {
      throw ValidationError(
        "there is no store '\(text)', only \(StoreKind.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return store
  }

  private static func word<Word: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Word {
    guard let word = Word(rawValue: text) else {
      throw ValidationError("'\(text)' is none of \(Word.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return word
  }

  private static func level(_ text: String) throws -> Logger.Level {
    guard let level = Logger.Level(rawValue: text) else {
      throw ValidationError(
        "'\(text)' is none of \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return level
  }

  mutating func validate() throws {
    for (name, path) in [("subnet-file", subnetFile), ("state-dir", stateDir), ("lease-copy", leaseCopy)]
    where !path.hasPrefix("/") {
      throw ValidationError("--\(name) must be an absolute path, not '\(path)'.")
    }
  }
}
