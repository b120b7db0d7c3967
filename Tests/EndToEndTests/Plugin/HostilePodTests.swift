import JSON
import Testing
import TestSupport

/// Pods that change their namespaces, and namespace paths that change their targets. DEL and GC remove what is the
/// pod's and nothing else.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct HostilePodTests {
  private let node: TestNode
  private let runtime: Runtime
  private let configuration: JSONObject

  /// A node with an uplink that has the name of pods' links, and a pod that changes nothing.
  init() throws {
    node = try TestNode()
    runtime = Runtime(node: node)
    configuration = runtime.configuration(["ipMasq": true, "macspoofchk": true])
    for pod in ["a", "b", "good"] { try node.addPod(pod) }
    try node.sh("ip link add eth0 type veth peer name wire && ip link set eth0 up && ip link set wire up")
    try runtime.add("good", configuration)
  }

  /// Checks that only the good pod has state on the node, and that it works.
  private func expectOnlyTheGoodPod() throws {
    #expect(try node.hostVeths().count == 1 && node.leases().count == 2 && node.records().count == 1)
    #expect(try node.lines("nft list ruleset | grep -c podnet:a: || true") == ["0"])
    #expect(try node.view()["eth0"] != nil && node.view(inPod: "good")["eth0"] != nil)
    #expect(try node.ping(from: "good", "10.9.0.1"))
  }

  @Test(
    arguments: [
      "ip -n a link set eth0 down name other", "ip -n a link set eth0 netns b",
      "ip -n a link set eth0 netns b name eth7", "ip -n a link delete eth0",
      "ip -n a link set eth0 down name x; ip -n a link add eth0 type veth peer name y; ip -n a link set eth0 up",
      "ip -n a link set eth0 address 02:00:00:00:00:99", "ip -n a link set eth0 down",
      "ip -n a address flush dev eth0 scope global",
      "ip -n a route flush table main; ip -n a -6 route flush table main",
      "ip -n a link set eth0 alias causeway:podnet:good:eth0",
    ], ["DEL", "GC"])
  func aChangedInterfaceIsDetectedAndRemoved(_ script: String, _ verb: String) throws {
    let answer = try runtime.add("a", configuration)
    try node.sh(script)
    let check = try runtime.check("a", answer, configuration: configuration)
    // The alias inside of the pod does not matter.
    if script.contains("alias") {
      try check.process.succeeded()
    } else {
      #expect(check.code == 100 && check.message.contains("eth0") || check.message.contains("route"), "\(check)")
    }
    if verb == "DEL" {
      try runtime.delete("a", configuration)
      try runtime.delete("a", configuration)
    } else {
      try runtime.collect(keeping: ["good"], configuration)
    }
    try expectOnlyTheGoodPod()
  }

  /// Fills the pod's namespace with links, addresses, routes and rules that drop everything. All verbs work.
  @Test func aFullNamespaceIsServed() throws {
    let answer = try runtime.add("a", configuration)
    try node.sh(
      """
      for i in $(seq 700); do echo "link add p$i type veth peer name q$i"; done | ip -n a -batch -
      for i in $(seq 0 3000); do echo "address add 10.$((100 + i / 250)).$((i % 250)).1/32 dev eth0"; done |
        ip -n a -batch -
      for i in $(seq 0 20000); do echo "route add 172.$((16 + i / 4096)).$((i / 16 % 256)).$((i % 16 * 16))/28 dev eth0"
        done | ip -n a -batch -
      ip netns exec a nft 'table inet causeway_pods { chain c { type filter hook input priority 0; policy drop; }; }
        table inet x { chain c { type filter hook output priority 0; policy drop; }; }'
      """, limit: .seconds(60))
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
    let second = try runtime.add("a", interface: "net1", configuration)
    try runtime.check("a", interface: "net1", second, configuration: configuration).process.succeeded()
    for interface in ["net1", "eth0"] {
      try runtime.call("DEL", "a", interface: interface, configuration: configuration).process.succeeded()
    }
    try expectOnlyTheGoodPod()
    #expect(try node.lines("ip netns exec a nft list tables | wc -l") == ["2"])
  }

  /// Targets of the namespace path, and the error code of a second ADD.
  static let places: [(target: String, code: Int64)] = [
    ("/proc/self/ns/net", 8), ("/proc/1/ns/net", 8), ("/run/fifo", 8), ("/run/file", 8), ("/run", 8), ("/dev/zero", 8),
    ("/dev/ptmx", 8), ("/run/nowhere", 8), ("/run/pods/a", 8), ("/proc/self/ns/mnt", 8), ("/run/netns/good", 999),
    ("/run/netns/b", 999),
  ]

  @Test(arguments: places, ["DEL", "GC"]) func aNamespacePathWithAnotherTargetHarmsNothing(
    _ place: (target: String, code: Int64), _ verb: String
  ) throws {
    try node.sh(
      "mkfifo /run/fifo; echo x >/run/file; mkdir -p /run/pods; ln -s /run/netns/a /run/pods/a; ip -n b link add eth0 type veth peer name y"
    )
    let path = ["CNI_NETNS": "/run/pods/a"]
    let answer = try runtime.call("ADD", "a", configuration: configuration, environment: path)
    try answer.process.succeeded()
    try node.sh("ln -sfn \(place.target) /run/pods/a")

    let check = try runtime.call(
      "CHECK", "a", configuration: runtime.configuration(configuration, after: answer), environment: path)
    #expect(check.process.status == 1 && [8, 100].contains(check.code), "\(check)")
    let second = try runtime.call("ADD", "a", configuration: configuration, environment: path)
    // The first process of the test's namespaces is outside of the node, so this is like another pod's namespace.
    if place.target != "/proc/1/ns/net" { #expect(second.code == place.code, "\(second)") }
    #expect(second.process.status == 1, "\(second)")
    #expect(try node.leases().count == 4 && node.records().count == 2)

    if verb == "DEL" {
      for _ in 1...2 {
        let delete = try runtime.call("DEL", "a", configuration: configuration, environment: path)
        // The second DEL has no record of the first, and must not work in the node's own namespace.
        if try node.records().count == 2 || place.target != "/proc/self/ns/net" { try delete.process.succeeded() }
        if place.target.hasPrefix("/run/netns") { break }
      }
    } else {
      try runtime.collect(keeping: ["good"], configuration)
    }
    try expectOnlyTheGoodPod()
    #expect(try node.view(inPod: "b")["eth0"] != nil)
    #expect(try node.view(inPod: "a")["eth0"] == nil)
  }
}
