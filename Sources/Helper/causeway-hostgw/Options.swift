internal import Addresses
internal import Agent
internal import ArgumentParser
internal import Logging
internal import NodeState
internal import OwnNode

/// Source of the nodes (`--store`).
enum StoreKind: String, CaseIterable {
  case file
  case etcd
  case kubernetes
}

/// The options of every command. Each may also come from the environment and from a configuration file, see
/// `OptionSources`.
struct Options: OptionNames {
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
      "The link with this node's addresses; of several (repeated, or with commas) the first one that has them. (default: the link of the default route)",
      valueName: "name or address"))
  var iface: [String] = []

  @Option(
    help: ArgumentHelp(
      "A pattern of that link's name or address, tried after --iface; may be repeated.",
      valueName: "regular expression"), transform: Options.pattern)
  var ifaceRegex: [String] = []

  @Option(
    help: ArgumentHelp(
      "An address that the kernel reaches through that link, tried after the others; may be repeated, or with commas.",
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

  @Option(help: ArgumentHelp("The file of this node's lease, which the plugin reads.", valueName: "file"))
  var subnetFile = DefaultPaths.subnetFile

  @Option(help: ArgumentHelp("The directory of locks, marks and records.", valueName: "directory"))
  var stateDir = DefaultPaths.stateDirectory

  @Option(help: ArgumentHelp("A copy of the lease that survives a reboot.", valueName: "file"))
  var leaseCopy = DefaultPaths.leaseCopy

  @OptionGroup(title: "Options of rules and blackhole routes") var rules: RuleOptions

  @OptionGroup(title: "Options of the fast path") var fastPath: FastPathOptions

  @OptionGroup(title: "Options for the container runtime") var runtime: RuntimeOptions

  @Option(help: ArgumentHelp("Address of the server of /healthz, /readyz and /metrics.", valueName: "address"))
  var healthzIp = "127.0.0.1"

  @Option(help: ArgumentHelp("Port of that server; 0 for none.", valueName: "port"), transform: Options.port)
  var healthzPort = 0

  @Option(
    help: ArgumentHelp(
      "Lowest level of log messages: trace, debug, info, notice, warning, error, critical.", valueName: "level"),
    transform: Options.level)
  var logLevel = Logger.Level.info

  @Option(help: "Log format: text, json.")
  var logFormat = LogFormat.text

  /// The groups of options. A new part's options are one group here and one property above.
  private static let groups: [any OptionNames.Type] = [
    EtcdOptions.self, KubernetesOptions.self, RuleOptions.self, FastPathOptions.self, RuntimeOptions.self,
  ]

  /// The long names of all options but `config`, which names the other source itself.
  static let names =
    [
      "store", "nodes-file", "node-name", "iface", "iface-regex", "iface-can-reach", "public-ip", "public-ipv6",
      "subnet-file", "state-dir", "lease-copy", "healthz-ip", "healthz-port", "log-level", "log-format",
    ] + groups.flatMap { $0.names }
  static let switches = groups.reduce(into: Set<String>()) { $0.formUnion($1.switches) }
  static let lists = groups.reduce(into: ["iface", "iface-regex", "iface-can-reach"] as Set) { $0.formUnion($1.lists) }

  /// Selection of this node's links and addresses. An empty value counts as none.
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

  /// Returns the text if it is a regular expression.
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

extension LogFormat: ExpressibleByArgument {}
