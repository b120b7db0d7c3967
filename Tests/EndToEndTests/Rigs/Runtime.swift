import JSON
import Linux
import Testing
import TestSupport

/// A runtime on a node of namespaces.
typealias Runtime = HostRuntime<TestNode>

/// Calls the plugin as a container runtime does: configuration on standard input, the rest in the environment.
struct HostRuntime<Host: TestHost> {
  let node: Host
  var plugin = Binaries.causeway
  /// The `cniVersion` of the configurations.
  var version = "1.1.0"
  /// CNI_PATH.
  var searchPath = Binaries.directory

  /// Every `cniVersion` that a configuration may have. Oldest first, which is also their order as texts.
  static var versions: [String] { ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] }

  /// The plugin's answer.
  struct Answer: CustomStringConvertible {
    let process: CommandResult
    /// The result or the error; `nil` if the output is empty.
    let json: JSONObject?

    var description: String { process.description }
    var code: Int64? { if case .integer(let code) = json?["code"] { code } else { nil } }
    var message: String { (json?["msg"]?.string ?? "") + "; " + (json?["details"]?.string ?? "") }
    /// The addresses of a result of any version, with their prefix lengths.
    var addresses: [String] {
      ["ip4", "ip6"].compactMap { json?[$0]?.object?["ip"]?.string }
        + (json?["ips"]?.array ?? []).compactMap { $0.object?["address"]?.string }
    }
    /// The addresses of a result without prefix lengths.
    var hosts: [String] { addresses.map { String($0.prefix { $0 != "/" }) } }
    var interfaces: [JSONObject] { json?["interfaces"]?.array?.compactMap(\.object) ?? [] }
  }

  /// The configuration of a network; `keys` are added or replace its own.
  func configuration(_ keys: JSONObject = [:], name: String = "podnet") -> JSONObject {
    var object: JSONObject = [
      "cniVersion": .string(version), "name": .string(name), "type": "causeway", "ipam": ["ranges": ranges(.dual)],
    ]
    for member in keys.members { object[member.name] = member.value }
    return object
  }

  enum Families: CaseIterable {
    case v4, v6, dual
  }

  func ranges(_ families: Families) -> JSONValue {
    let v4: JSONValue = [["subnet": "10.9.0.0/24"]]
    let v6: JSONValue = [["subnet": "fd00:9::/64"]]
    return switch families {
    case .v4: [v4]
    case .v6: [v6]
    case .dual: [v4, v6]
    }
  }

  /// A configuration with the result of ADD as `prevResult`, as CHECK and DEL get it.
  func configuration(_ configuration: JSONObject, after answer: Answer) -> JSONObject {
    var configuration = configuration
    configuration["prevResult"] = answer.json.map { .object($0) }
    return configuration
  }

  /// Runs the plugin once. CNI_NETNS is the namespace of `pod`; without a pod it is not set.
  func call(
    _ verb: String, _ pod: String?, id: String? = nil, interface: String = "eth0", arguments: String = "",
    configuration: JSONObject, environment: [String: String] = [:]
  ) throws -> Answer {
    try call(
      verb, pod, id: id, interface: interface, arguments: arguments,
      input: JSONValue.object(configuration).text(), environment: environment)
  }

  /// Runs the plugin once with any text on standard input.
  func call(
    _ verb: String, _ pod: String?, id: String? = nil, interface: String = "eth0", arguments: String = "",
    input: String, environment: [String: String] = [:]
  ) throws -> Answer {
    var variables = [
      "CNI_COMMAND": verb, "CNI_CONTAINERID": id ?? pod ?? "", "CNI_NETNS": pod.map { "/run/netns/\($0)" } ?? "",
      "CNI_IFNAME": interface, "CNI_ARGS": arguments, "CNI_PATH": searchPath,
    ]
    variables.merge(environment) { $1 }
    let process = try node.run([plugin], environment: variables.filter { !$1.isEmpty }, input: input)
    return Answer(process: process, json: try? JSONValue(parsing: Array(process.output.utf8)).object)
  }

  /// Runs ADD, which must succeed.
  @discardableResult
  func add(
    _ pod: String, interface: String = "eth0", arguments: String = "", _ configuration: JSONObject? = nil
  ) throws -> Answer {
    let answer = try call(
      "ADD", pod, interface: interface, arguments: arguments, configuration: configuration ?? self.configuration())
    try answer.process.succeeded()
    return answer
  }

  /// Runs CHECK with the configuration and the result of ADD.
  func check(
    _ pod: String, interface: String = "eth0", _ answer: Answer, configuration: JSONObject
  ) throws -> Answer {
    try call("CHECK", pod, interface: interface, configuration: self.configuration(configuration, after: answer))
  }

  /// Runs GC, which must succeed, with eth0 of these IDs as the valid attachments.
  func collect(keeping valid: [String], _ configuration: JSONObject) throws {
    var configuration = configuration
    configuration["cni.dev/valid-attachments"] = .array(
      valid.map { ["containerID": .string($0), "ifname": "eth0"] })
    try call("GC", nil, configuration: configuration).process.succeeded()
  }

  /// Runs DEL, which must succeed.
  func delete(_ pod: String, _ configuration: JSONObject? = nil) throws {
    try call("DEL", pod, configuration: configuration ?? self.configuration()).process.succeeded()
  }
}

/// State of pods on a node. All of it is removed with the pods.
extension TestHost {
  /// The host's ends of veth pairs.
  func hostVeths() throws -> [String] {
    try ip(json: "link", "show", "type", "veth").compactMap { $0["ifname"]?.string }.filter { $0.hasPrefix("veth") }
  }

  /// The files of IPAM leases, of all networks.
  func leases() throws -> [String] {
    try lines("find /var/lib/cni/networks -type f ! -name lock ! -name 'last_reserved_ip.*' 2>/dev/null || true")
  }

  func records() throws -> [String] {
    try lines("find /run/causeway/attachments -type f 2>/dev/null || true")
  }

  /// All of the above, for tests that expect none of it.
  func remains() throws -> [String] { try hostVeths() + leases() + records() }

  func lines(_ script: String) throws -> [String] {
    try sh(script).split(separator: "\n").map { String($0) }
  }

  /// The global addresses of a link, with their prefix lengths.
  func addresses(_ link: String, inPod pod: String? = nil) throws -> [String] {
    let infos = try ip(json: "address", "show", "dev", link, inPod: pod).flatMap {
      $0["addr_info"]?.array?.compactMap(\.object) ?? []
    }
    return infos.filter { $0["scope"]?.string == "global" }.compactMap { info in
      guard let local = info["local"]?.string, case .integer(let length) = info["prefixlen"] else { return nil }
      return "\(local)/\(length)"
    }
  }

  /// Whether a pod, or the node itself, gets an answer from an address. Two seconds are enough where none is expected.
  func ping(from pod: String? = nil, _ address: String, within seconds: Int = 8) throws -> Bool {
    let command = ["ping", "-nc", "1", "-W", "\(seconds)", address]
    return try (pod.map { try run(inPod: $0, command) } ?? run(command)).status == 0
  }
}

extension TestNode {
  /// Installs a test's plugin in /opt/cni/bin. The shell script finds the configuration in $configuration, and its
  /// standard output is the answer.
  func install(plugin name: String, _ script: String) throws {
    let text = "#!/bin/sh\nconfiguration=$(cat)\n\(script)\n"
    try Files.replace(path("/opt/cni/bin/\(name)"), with: Array(text.utf8), mode: 0o755)
  }
}
