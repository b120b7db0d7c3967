import JSON
import Testing
import TestSupport

extension Runtime {
  /// Installs the plugin under the names of the reference plugins (`bridge`, `host-local`), and calls it by one of
  /// them.
  static func reference(_ plugin: String, _ version: String, node: TestNode? = nil) throws -> Runtime {
    let node = try node ?? TestNode()
    try node.sh("for name in bridge host-local; do ln -s \(Binaries.causeway) /opt/cni/bin/$name; done")
    return Runtime(node: node, plugin: "/opt/cni/bin/\(plugin)", version: version, searchPath: "/opt/cni/bin")
  }

  /// A configuration as in the reference tests of `bridge`: a default gateway on `bridge0`.
  func bridgeConfiguration(_ subnets: [Subnet], _ keys: JSONObject = [:]) -> JSONObject {
    var object: JSONObject = [
      "cniVersion": .string(version), "name": "testConfig", "type": "bridge", "bridge": "bridge0",
      "isDefaultGateway": true, "ipMasq": false,
      "ipam": ["type": "host-local", "ranges": .array(subnets.map { [["subnet": .string($0.network)]] })],
    ]
    for member in keys.members { object[member.name] = member.value }
    return object
  }

  /// A configuration as in the reference tests of `bridge`, without IPAM.
  func layer2Configuration(_ keys: JSONObject = [:]) -> JSONObject {
    var object: JSONObject = [
      "cniVersion": .string(version), "name": "testConfig", "type": "bridge", "bridge": "bridge0", "ipam": [:],
    ]
    for member in keys.members { object[member.name] = member.value }
    return object
  }
}

/// A subnet with the bridge at its first address and the first pod at its second.
struct Subnet: Sendable {
  let network: String

  init(_ network: String) { self.network = network }

  static let v4 = Subnet("10.1.2.0/24")
  static let v6 = Subnet("2001:db8:1::/64")
  static let otherV6 = Subnet("2001:db8:2::/64")

  var isV6: Bool { network.contains(":") }
  var gateway: String { host(1) }
  /// The bridge's address with the prefix length.
  var gatewayAddress: String { gateway + length }
  var firstPod: String { host(2) + length }

  private var length: String { String(network.drop { $0 != "/" }) }

  private func host(_ number: Int) -> String {
    let base = String(network.prefix { $0 != "/" })
    return isV6 ? "\(base)\(number)" : "\(base.dropLast())\(number)"
  }
}

/// Requirements of the reference tests for each ADD. The answer, in its version's shape, reports what the kernel has,
/// and the kernel has nothing else.
struct BridgeExpectation {
  let version: String
  let bridge: String
  let subnets: [Subnet]
  /// The DNS settings of the answer.
  var dns: JSONObject = [:]
  /// Whether the pod and the answer have a default route of each family.
  var hasDefaultRoutes = true

  /// Runs the first ADD on a node with this configuration, and checks the answer and the kernel's state.
  @discardableResult
  func add(_ pod: String, _ runtime: Runtime, configuration: JSONObject) throws -> Runtime.Answer {
    let before = try runtime.node.view().links.count
    let hadBridge = try runtime.node.view()[bridge] != nil
    let answer = try runtime.add(pod, configuration)
    let (host, inside) = try (runtime.node.view(), runtime.node.view(inPod: pod))
    #expect(host.links.count == before + (hadBridge ? 1 : 2), "stray links: \(host.links)")
    try checkBridge(host)
    let port = try #require(host.links.first { $0["master"]?.string == bridge && $0["link_netnsid"] != nil })
    checkPort(port)
    try checkPod(pod, inside, on: runtime.node)
    let expected = try expectedAnswer(
      pod, bridgeMAC: mac(host[bridge]), portName: #require(port["ifname"]?.string), portMAC: mac(port),
      podMAC: mac(inside["eth0"]))
    #expect(answer.json == expected, "\(answer)")
    return answer
  }

  /// Checks that DEL removed both ends of the veth pair and left the bridge.
  func checkDeleted(_ pod: String, _ node: TestNode) throws {
    #expect(try node.view(inPod: pod).links.map { $0["ifname"]?.string } == ["lo"])
    let host = try node.view()
    #expect(host.links.allSatisfy { $0["master"]?.string != bridge })
    #expect(host[bridge] != nil)
    #expect(try node.remains() == [])
  }

  private func checkBridge(_ host: NamespaceView) throws {
    let link = try #require(host[bridge])
    #expect(link["linkinfo"]?.object?["info_kind"]?.string == "bridge")
    #expect(link["promiscuity"] == 0)
    #expect(host.bridge(bridge)?["vlan_filtering"] == 0)
    #expect(host.addresses(bridge).sorted() == subnets.map(\.gatewayAddress).sorted())
    #expect(host.unusable(bridge).isEmpty)
  }

  private func checkPort(_ port: JSONObject) {
    #expect(port["ifname"]?.string?.hasPrefix("veth") == true)
    #expect(port["operstate"]?.string == "UP")
    #expect(port["linkinfo"]?.object?["info_kind"]?.string == "veth")
  }

  private func checkPod(_ pod: String, _ inside: NamespaceView, on node: TestNode) throws {
    #expect(inside.links.map { $0["ifname"]?.string } == ["lo", "eth0"])
    // The plugin waits for the host's end. The kernel reports the pod's end as up some microseconds later.
    let isUp = try eventually(within: .seconds(5)) {
      try node.ip(json: "link", "show", "dev", "eth0", inPod: pod).first?["operstate"]?.string == "UP"
    }
    #expect(isUp)
    #expect(inside.addresses("eth0", family: "inet") == subnets.filter { !$0.isV6 }.map(\.firstPod))
    #expect(inside.addresses("eth0", family: "inet6").sorted() == subnets.filter(\.isV6).map(\.firstPod).sorted())
    #expect(inside.addresses("eth0", family: "inet6", scope: "link").count == 1)
    #expect(inside.unusable("eth0").isEmpty)
    let routes = try node.defaultRoutes(inPod: pod)
    #expect(routes.map { $0["gateway"]?.string } == defaultRoutes.map(\.gateway))
    #expect(routes.allSatisfy { $0["dev"]?.string == "eth0" && $0["prefsrc"] == nil }, "\(routes)")
  }

  /// The first subnet of each family, IPv4 before IPv6.
  private var defaultRoutes: [Subnet] {
    guard hasDefaultRoutes else { return [] }
    return [subnets.first { !$0.isV6 }, subnets.first(where: \.isV6)].compactMap(\.self)
  }

  private func mac(_ link: JSONObject?) throws -> String {
    let mac = try #require(link?["address"]?.string)
    #expect(mac.count == 17 && mac != "00:00:00:00:00:00")
    return mac
  }

  private func expectedAnswer(
    _ pod: String, bridgeMAC: String, portName: String, portMAC: String, podMAC: String
  ) -> JSONObject {
    #expect(Set([bridgeMAC, portMAC, podMAC]).count == 3)
    var answer: JSONObject = ["cniVersion": .string(version)]
    if version < "0.3.0" {
      for (key, family) in [("ip4", subnets.filter { !$0.isV6 }), ("ip6", subnets.filter(\.isV6))] {
        guard let subnet = family.first else { continue }
        var part: JSONObject = ["ip": .string(subnet.firstPod), "gateway": .string(subnet.gateway)]
        if hasDefaultRoutes { part["routes"] = [route(subnet)] }
        answer[key] = .object(part)
      }
    } else {
      answer["interfaces"] = .array([
        interface(bridge, bridgeMAC), interface(portName, portMAC),
        interface("eth0", podMAC, sandbox: "/run/netns/\(pod)"),
      ])
      if !subnets.isEmpty { answer["ips"] = .array(subnets.map(ip)) }
      if !defaultRoutes.isEmpty { answer["routes"] = .array(defaultRoutes.map(route)) }
    }
    if version < "1.0.0" || !dns.members.isEmpty { answer["dns"] = .object(dns) }
    return answer
  }

  private func interface(_ name: String, _ mac: String, sandbox: String? = nil) -> JSONValue {
    var object: JSONObject = ["name": .string(name), "mac": .string(mac)]
    if version >= "1.1.0" { object["mtu"] = 1500 }
    if let sandbox { object["sandbox"] = .string(sandbox) }
    return .object(object)
  }

  private func ip(_ subnet: Subnet) -> JSONValue {
    var object: JSONObject = version < "1.0.0" ? ["version": subnet.isV6 ? "6" : "4"] : [:]
    object["interface"] = 2
    object["address"] = .string(subnet.firstPod)
    object["gateway"] = .string(subnet.gateway)
    return .object(object)
  }

  private func route(_ subnet: Subnet) -> JSONValue {
    ["dst": .string(subnet.isV6 ? "::/0" : "0.0.0.0/0"), "gw": .string(subnet.gateway)]
  }
}
