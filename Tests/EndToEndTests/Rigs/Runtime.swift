import JSON
import Linux
import Testing
import TestSupport

/// The runtime of a node of namespaces.
typealias Runtime = HostRuntime<TestNode>

/// What a container runtime is to the plugin: a network's configuration on standard input, the rest in the environment.
struct HostRuntime<Host: TestHost> {
  let node: Host
  var plugin = Binaries.causeway
  /// The `cniVersion` of the configurations.
  var version = "1.1.0"
  /// CNI_PATH.
  var searchPath = Binaries.directory

  /// Every `cniVersion` that a configuration may have, oldest first; as texts they are in order, too.
  static var versions: [String] { ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] }

  /// What the plugin answered.
  struct Answer: CustomStringConvertible {
    let process: CommandResult
    /// The result or the error; `nil` where nothing was written.
    let json: JSONObject?

    var description: String { process.description }
    var code: Int64? { if case .integer(let code) = json?["code"] { code } else { nil } }
    var message: String { (json?["msg"]?.string ?? "") + "; " + (json?["details"]?.string ?? "") }
    /// The addresses of a result of any version, with their prefix lengths.
    var addresses: [String] {
      ["ip4", "ip6"].compactMap { json?[$0]?.object?["ip"]?.string }
        + (json?["ips"]?.array ?? []).compactMap { $0.object?["address"]?.string }
    }
    /// The same without prefix length.
    var hosts: [String] { addresses.map { String($0.prefix { $0 != "/" }) } }
    var interfaces: [JSONObject] { json?["interfaces"]?.array?.compactMap(\.object) ?? [] }
  }

  /// A configuration for one network; `keys` come on top of what every one has.
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

  /// The same with what ADD answered, as CHECK and DEL get it.
  func configuration(_ configuration: JSONObject, after answer: Answer) -> JSONObject {
    var configuration = configuration
    configuration["prevResult"] = answer.json.map { .object($0) }
    return configuration
  }

  /// Runs the plugin once. The pod's namespace is `pod`'s, none where it is `nil`.
  func call(
    _ verb: String, _ pod: String?, id: String? = nil, interface: String = "eth0", arguments: String = "",
    _ configuration: JSONObject, environment: [String: String] = [:]
  ) throws -> Answer {
    try call(
      verb, pod, id: id, interface: interface, arguments: arguments,
      input: JSONValue.object(configuration).text(), environment: environment)
  }

  /// The same with any text on standard input.
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

  /// ADD that must succeed.
  @discardableResult
  func add(
    _ pod: String, interface: String = "eth0", arguments: String = "", _ configuration: JSONObject? = nil
  ) throws -> Answer {
    let answer = try call(
      "ADD", pod, interface: interface, arguments: arguments, configuration ?? self.configuration())
    try answer.process.succeeded()
    return answer
  }

  /// CHECK of what ADD answered, by the configuration that ADD had.
  func check(_ pod: String, interface: String = "eth0", _ answer: Answer, _ configuration: JSONObject) throws -> Answer
  {
    try call("CHECK", pod, interface: interface, self.configuration(configuration, after: answer))
  }

  /// GC that must succeed, with these IDs' eth0 as what is valid.
  func collect(keeping valid: [String], _ configuration: JSONObject) throws {
    var configuration = configuration
    configuration["cni.dev/valid-attachments"] = .array(
      valid.map { ["containerID": .string($0), "ifname": "eth0"] })
    try call("GC", nil, configuration).process.succeeded()
  }

  /// DEL that must succeed.
  func delete(_ pod: String, _ configuration: JSONObject? = nil) throws {
    try call("DEL", pod, configuration ?? self.configuration()).process.succeeded()
  }
}

/// What a node keeps of pods: nothing of it may be there when the pods are gone.
extension TestHost {
  /// The host's ends of cables.
  func cables() throws -> [String] {
    try ip(json: "link", "show", "type", "veth").compactMap { $0["ifname"]?.string }.filter { $0.hasPrefix("veth") }
  }

  /// The files of leases, in any network.
  func leases() throws -> [String] {
    try lines("find /var/lib/cni/networks -type f ! -name lock ! -name 'last_reserved_ip.*' 2>/dev/null || true")
  }

  func records() throws -> [String] {
    try lines("find /run/causeway/attachments -type f 2>/dev/null || true")
  }

  /// Everything above at once, for a test that wants none of it.
  func remains() throws -> [String] { try cables() + leases() + records() }

  func lines(_ script: String) throws -> [String] {
    try sh(script).split(separator: "\n").map { String($0) }
  }

  /// The addresses of a link, with their prefix lengths, link-local ones left out.
  func addresses(_ link: String, inPod pod: String? = nil) throws -> [String] {
    let infos = try ip(json: "address", "show", "dev", link, inPod: pod).flatMap {
      $0["addr_info"]?.array?.compactMap(\.object) ?? []
    }
    return infos.filter { $0["scope"]?.string == "global" }.compactMap { info in
      guard let local = info["local"]?.string, case .integer(let length) = info["prefixlen"] else { return nil }
      return "\(local)/\(length)"
    }
  }

  /// Whether a pod, or the node itself, gets an answer from an address; where none is expected, two seconds show it.
  func ping(from pod: String? = nil, _ address: String, within seconds: Int = 8) throws -> Bool {
    let command = ["ping", "-nc", "1", "-W", "\(seconds)", address]
    return try (pod.map { try run(inPod: $0, command) } ?? run(command)).status == 0
  }
}

extension TestNode {
  /// A plugin of a test in /opt/cni/bin: its `script` finds the configuration in $configuration, and says on standard
  /// output what the plugin answers.
  func install(plugin name: String, _ script: String) throws {
    let text = "#!/bin/sh\nconfiguration=$(cat)\n\(script)\n"
    try Files.replace(path("/opt/cni/bin/\(name)"), with: Array(text.utf8), mode: 0o755)
  }
}
