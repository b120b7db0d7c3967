internal import Addresses
internal import ArgumentParser
internal import Logging
internal import NodeRoutes

/// Where the nodes come from.
enum StoreKind: String, CaseIterable {
  case file
}

/// The options of every command. Each may also stand in the environment and in a configuration file, see `OptionSources`.
struct Options: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Read options from a JSON file, - for standard input; its keys are the long names.", valueName: "file"))
  var config: String?

  @Option(help: ArgumentHelp("Where the nodes come from: file.", valueName: "store"), transform: Options.store)
  var store = StoreKind.file

  @Option(help: ArgumentHelp("The nodes and the cluster's network, as JSON.", valueName: "file"))
  var nodesFile = "/etc/causeway/nodes.json"

  @Option(help: "Which node this is. (default: the host name, else by address)")
  var nodeName: String?

  @Option(help: ArgumentHelp("The link that holds this node's addresses.", valueName: "name or address"))
  var iface: String?

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
  var subnetFile = "/run/causeway/subnet.env"

  @Option(help: ArgumentHelp("Where locks and marks are kept.", valueName: "directory"))
  var stateDir = "/run/causeway"

  @Option(help: ArgumentHelp("A copy of the lease that survives a reboot.", valueName: "file"))
  var leaseCopy = "/var/lib/causeway/lease.env"

  @Option(
    help:
      "This node masquerades by rules of its own, so the plugin shall not (FLANNEL_IPMASQ); --ip-masq alone means true."
  )
  var ipMasq = false

  @Option(
    help: ArgumentHelp("The runtime's network configuration, to be put in --cni-conf-file.", valueName: "file"))
  var cniConfSource: String?

  @Option(
    help: ArgumentHelp(
      "Where the runtime reads it; it is put there last, when pods can be served.", valueName: "file"))
  var cniConfFile: String?

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
  static let names = [
    "store", "nodes-file", "node-name", "iface", "public-ip", "public-ipv6", "subnet-file", "state-dir",
    "lease-copy", "ip-masq", "cni-conf-source", "cni-conf-file", "healthz-ip", "healthz-port", "log-level",
    "log-format",
  ]
  /// Those that may stand without a value, which then is true.
  static let switches: Set = ["ip-masq"]

  private static func address(_ text: String, _ family: IPFamily) throws -> IPAddress {
    guard let address = IPAddress(text), address.family == family else {
      throw ValidationError("'\(text)' is no \(family) address.")
    }
    return address
  }

  private static func port(_ text: String) throws -> Int {
    guard let port = Int(text), (0...65535).contains(port) else {
      throw ValidationError("'\(text)' is no port: give a number from 0 to 65535.")
    }
    return port
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
