import Foundation
import JSON
import Testing
import TestSupport

/// Plugin lists through libcni, as containerd, CRI-O and podman run them.
@Suite(.requiresRoot, .timeLimit(.minutes(4)))
struct LibcniTests {
  private let ipam: JSONValue = ["ranges": [[["subnet": "10.9.0.0/24"]], [["subnet": "fd00:9::/64"]]]]

  private func fixture() throws -> (TestNode, Libcni) {
    let node = try TestNode()
    try node.addPod("a")
    return (node, try Libcni(node))
  }

  @Test(arguments: ["0.3.1", "0.4.0", "1.0.0"])
  func aListIsRunFromADDToDEL(_ version: String) throws {
    let (node, libcni) = try fixture()
    let allowsCheck = version >= "0.4.0"
    try libcni.configure(
      [["type": "causeway", "ipam": ipam], ["type": "tuning", "sysctl": ["net.core.somaxconn": "500"]]],
      version: version)
    #expect(try libcni("validate", "a").json == [])

    let added = try libcni("add", "a")
    #expect(added.addresses == ["10.9.0.2/24", "fd00:9::2/64"], "\(added)")
    var calls = try libcni.calls()
    #expect(calls.map(\.name) == ["ADD causeway", "ADD tuning"])
    #expect(calls[0].configuration["prevResult"] == nil)
    #expect(calls[1].configuration["prevResult"]?.object?["ips"] == added.result?["ips"])

    // The cache holds the whole list and the last result.
    #expect(try libcni("cached", "a").json == added.json)
    let file = try Data(contentsOf: URL(filePath: node.path(libcni.cacheFile("a"))))
    let cache = try #require(try JSONValue(parsing: Array(file)).object)
    let kept = cache["result"]?.object?["ips"]?.array?.compactMap { $0.object?["address"]?.string }
    #expect(cache["kind"] == "cniCacheV1" && kept == added.addresses)
    let list = Data(base64Encoded: cache["config"]?.string ?? "")
    #expect(try list == Data(contentsOf: URL(filePath: node.path("/run/podnet.conflist"))))

    let checked = try libcni("check", "a")
    #expect((checked.process.status == 0) == allowsCheck, "\(checked)")
    if allowsCheck {
      calls = try libcni.calls()
      #expect(calls.map(\.name) == ["CHECK causeway", "CHECK tuning"])
      #expect(calls.allSatisfy { $0.configuration["prevResult"] == added.json })
      try node.sh("ip -netns a route delete default")
      let broken = try libcni("check", "a")
      #expect(broken.code == 100 && broken.message.contains("has lost its route to 0.0.0.0/0"), "\(broken)")
      #expect(try libcni.calls().map(\.name) == ["CHECK causeway"])
    }

    for _ in 1...2 {
      try libcni("del", "a").process.succeeded()
      #expect(try node.remains() == [])
      #expect(try node.run(["test", "-e", libcni.cacheFile("a")]).status != 0)
    }
    calls = try libcni.calls()
    #expect(calls.map(\.name) == ["DEL tuning", "DEL causeway", "DEL tuning", "DEL causeway"])
    #expect(calls.map { $0.configuration["prevResult"] != nil } == [allowsCheck, allowsCheck, false, false])
  }

  @Test func onlyAdvertisedCapabilitiesArePassed() throws {
    let (node, libcni) = try fixture()
    let offered = """
      {"ips": ["10.9.0.77"], "mac": "02:00:00:00:00:77",
       "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}
      """
    let portmap: JSONValue = ["type": "portmap", "capabilities": ["portMappings": true]]
    try libcni.configure([
      ["type": "causeway", "ipam": ipam, "capabilities": ["ips": true, "mac": true, "ipRanges": false]], portmap,
    ])
    let advertised = try libcni("validate", "a").json?.array?.compactMap(\.string) ?? []
    #expect(Set(advertised) == ["ips", "mac", "portMappings"])
    let added = try libcni("add", "a", "-capabilities", offered)
    #expect(added.addresses == ["10.9.0.77/24", "fd00:9::2/64"], "\(added)")
    #expect(added.result?["interfaces"]?.array?.last?.object?["mac"] == "02:00:00:00:00:77")
    let given = try libcni.calls().map { Set($0.configuration["runtimeConfig"]?.object?.members.map(\.name) ?? []) }
    #expect(given == [["ips", "mac"], ["portMappings"]])
    try libcni("del", "a", "-capabilities", offered).process.succeeded()
    #expect(try node.remains() == [])

    try libcni.configure([["type": "causeway", "ipam": ipam], portmap])
    let without = try libcni("add", "a", "-capabilities", offered)
    #expect(without.addresses == ["10.9.0.78/24", "fd00:9::3/64"], "\(without)")
    #expect(try libcni.calls().map { $0.configuration["runtimeConfig"] == nil }.suffix(2) == [true, false])
  }

  @Test func validationChecksTheVersion() throws {
    let (_, libcni) = try fixture()
    try libcni.configure([["type": "causeway", "ipam": ipam]], version: "1.9.0")
    let refused = try libcni("validate", "a")
    #expect(refused.message.contains("plugin causeway does not support config version \"1.9.0\""), "\(refused)")
    // Later releases of libcni run ADD without validation.
    let added = try libcni("add", "a")
    #expect(added.code == 1 && added.message.contains("incompatible CNI versions"), "\(added)")
  }

  @Test func eachInterfaceHasItsOwnResult() throws {
    let (node, libcni) = try fixture()
    try libcni.configure([["type": "causeway", "ipam": ipam]])
    try libcni("add", "a").process.succeeded()
    let second = try libcni("add", "a", "-ifname", "net1")
    #expect(second.addresses == ["10.9.0.3/24", "fd00:9::3/64"])
    try libcni("check", "a").process.succeeded()
    try libcni("check", "a", "-ifname", "net1").process.succeeded()
    try libcni("del", "a").process.succeeded()
    #expect(try libcni("cached", "a").process.output == "")
    #expect(try libcni("cached", "a", "-ifname", "net1").json == second.json)
    try libcni("check", "a", "-ifname", "net1").process.succeeded()
    #expect(try node.addresses("net1", inPod: "a") == second.addresses)
    try libcni("del", "a", "-ifname", "net1").process.succeeded()
    #expect(try node.remains() == [])
  }

  /// Fails a later plugin of a list. libcni caches no result then, and leaves the clean-up to the runtime.
  @Test func deleteCleansUpAfterAFailedList() throws {
    let (node, libcni) = try fixture()
    try node.install(
      plugin: "broken",
      """
      test $CNI_COMMAND = ADD || exit 0
      echo '{"code": 123, "msg": "out of luck"}'
      exit 1
      """)
    try libcni.configure([["type": "causeway", "ipam": ipam, "ipMasq": true], ["type": "broken"]])
    let added = try libcni("add", "a")
    #expect(added.code == 123 && added.message == "out of luck; ")
    #expect(try node.run(["test", "-e", libcni.cacheFile("a")]).status != 0)
    #expect(try node.leases().count == 2)
    let checked = try libcni("check", "a")
    #expect(checked.message.contains("Required prevResult missing"), "\(checked)")
    try libcni("del", "a").process.succeeded()
    #expect(try node.remains() == [])
    #expect(try !node.sh("nft list table inet causeway_pods").contains("podnet:"))
  }

  /// Kills the plugin in ADD, as a runtime does after its timeout.
  @Test func deleteCleansUpAfterAKilledADD() throws {
    let (node, libcni) = try fixture()
    // Without the wrapper that logs calls, because libcni kills the process that it has started.
    try node.sh("ln -sf \(Binaries.causeway) /opt/cni/bin/causeway && mkdir -p /run/causeway")
    try libcni.configure([["type": "causeway", "ipam": ipam]])
    let other = try node.start(["flock", "--no-fork", "/run/causeway/bridge.lock", "sleep", "60"])
    #expect(try eventually { try node.run(["flock", "-n", "/run/causeway/bridge.lock", "true"]).status != 0 })
    let added = try libcni("add", "a", "-timeout", "5s")
    #expect(added.message.contains("signal: killed") || added.message.contains("no error message"), "\(added)")
    #expect(try node.leases().count == 2 && node.records().count == 1)
    try libcni("del", "a").process.succeeded()
    #expect(try node.remains() == [])
    other.stop()
    #expect(try libcni("add", "a").process.status == 0)
  }

  // MARK: Configurations of libcni 1.2 and later

  /// Uses configurations of later releases. They have name, version and `capabilities` in each plugin's object, and
  /// both keys of attachments.
  @Test func gcAndStatusAcceptConfigurationsOfLaterReleases() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["capabilities": ["ips": true, "mac": true], "ipMasq": true])
    try runtime.call("STATUS", nil, configuration: configuration).process.succeeded()
    var results: [String: JSONValue] = [:]
    for pod in ["a", "b", "c"] {
      try node.addPod(pod)
      results[pod] = .object(try #require(try runtime.add(pod, configuration).json))
    }
    func collect(_ valid: [String]) throws {
      let attachments = JSONValue.array(valid.map { ["containerID": .string($0), "ifname": "eth0"] })
      var object = configuration
      object["cni.dev/valid-attachments"] = attachments
      object["cni.dev/attachments"] = attachments
      try runtime.call("GC", nil, configuration: object).process.succeeded()
    }
    // libcni deletes attachments in its cache by DEL with the cached result. Pod c is in no cache.
    var delete = configuration
    delete["prevResult"] = results["a"]
    try runtime.delete("a", delete)
    try collect(["b"])
    #expect(try node.hostVeths().count == 1 && node.leases().count == 2 && node.records().count == 1)
    let rules = try node.sh("nft list table inet causeway_pods")
    #expect(rules.contains("podnet:b:eth0") && !rules.contains("podnet:c:eth0"))
    var check = configuration
    check["prevResult"] = results["b"]
    try runtime.call("CHECK", "b", configuration: check).process.succeeded()
    try collect([])
    #expect(try node.remains() == [])
  }

  // MARK: bandwidth

  @Test func theReferencePtpWorksOnTheLeaseWithBandwidth() throws {
    let cluster = try Cluster(1)
    let node = cluster.nodes[0]
    let libcni = try Libcni(node)
    try node.hostgw("sync").succeeded()
    try node.addPod("a")
    try libcni.configure([["type": "ptp", "ipam": ["type": "causeway"]], Self.bandwidth])
    let added = try libcni("add", "a")
    #expect(added.addresses == ["10.244.1.2/24", "fd00:10:244:1::2/64"], "\(added)")
    #expect(try libcni.calls().map(\.name) == ["ADD causeway"])
    #expect(try node.ping(from: "a", "10.244.1.1"))
    let port = try #require(added.result?["interfaces"]?.array?.first?.object?["name"]?.string)
    #expect(try overlimits(node, port) != nil)
    try libcni("check", "a").process.succeeded()
    try libcni("del", "a").process.succeeded()
    #expect(try node.remains() == [])
    #expect(try node.run(["ip", "link", "show", port]).status != 0)
  }

  @Test func aBandwidthLimitAppliesToOnePodOfTheBridge() throws {
    let (node, libcni) = try fixture()
    try node.addPod("b")
    try node.addPod("server")
    try libcni.configure([["type": "causeway", "ipam": ipam]])
    try libcni.configure([["type": "causeway", "ipam": ipam], Self.bandwidth], name: "limited")
    let host = try #require(try libcni("add", "server").addresses.first?.split(separator: "/").first)
    let free = try libcni("add", "a")
    // The second network on the bridge has leases of its own, so this address is requested.
    let limited = try libcni(
      "add", "b", "-args", "IgnoreUnknown=1;IP=10.9.0.99", network: "limited")
    #expect(limited.addresses.first == "10.9.0.99/24", "\(limited)")

    try node.sh("mkdir /run/www && head -c 500000 /dev/zero >/run/www/file")
    let enter = ["ip", "netns", "exec", "server"]
    let server = try node.start(enter + ["busybox", "httpd", "-f", "-p", "80", "-h", "/run/www"])
    for pod in ["a", "b"] {
      let isRead = try eventually {
        try node.run(
          inPod: pod, ["curl", "--silent", "--max-time", "20", "--output", "/run/\(pod)", "http://\(host)/file"]
        ).status == 0
      }
      #expect(isRead, "\(server.output)")
    }
    func port(_ answer: Libcni.Answer) throws -> String {
      try #require(answer.result?["interfaces"]?.array?[1].object?["name"]?.string)
    }
    // Packets beyond the rate had to wait, on this port only.
    #expect(try overlimits(node, port(limited)) ?? 0 > 0)
    #expect(try overlimits(node, port(free)) == nil)
    try libcni("del", "b", network: "limited").process.succeeded()
    for pod in ["a", "server"] { try libcni("del", pod).process.succeeded() }
    #expect(try node.remains() == [])
  }

  private static let bandwidth: JSONValue = [
    "type": "bandwidth", "ingressRate": 80_000_000, "ingressBurst": 800_000,
  ]

  /// How often packets exceeded a link's token bucket; `nil` if the link has none.
  private func overlimits(_ node: TestNode, _ link: String) throws -> Int64? {
    let text = try node.run(["tc", "-json", "-statistics", "qdisc", "show", "dev", link]).succeeded().output
    let disciplines = try JSONValue(parsing: Array(text.utf8)).array?.compactMap(\.object) ?? []
    guard case .integer(let count)? = disciplines.first(where: { $0["kind"] == "tbf" })?["overlimits"] else {
      return nil
    }
    return count
  }
}
