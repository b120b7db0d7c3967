import JSON
import Testing
import TestSupport

/// The reference's tests of `host-local` for every version: results, files, errors.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct HostLocalTests {
  private static let path = "/run/leases/mynet"

  private func configuration(_ runtime: Runtime, _ ipam: JSONObject, _ keys: JSONObject = [:]) -> JSONObject {
    var section: JSONObject = ["type": "host-local", "dataDir": "/run/leases"]
    for member in ipam.members { section[member.name] = member.value }
    var object: JSONObject = [
      "cniVersion": .string(runtime.version), "name": "mynet", "type": "ipvlan", "master": "foo0",
      "ipam": .object(section),
    ]
    for member in keys.members { object[member.name] = member.value }
    return object
  }

  /// Names and contents of the files in the network's directory, without the lock.
  private func files(_ node: TestNode) throws -> [String: String] {
    var files: [String: String] = [:]
    for name in try node.lines("cd \(Self.path) 2>/dev/null && ls || true") where name != "lock" {
      files[name] = try node.sh("cat \(Self.path)/\(name)")
    }
    return files
  }

  /// An address, for the result in the shape of any version.
  private struct Given {
    let address: String
    let gateway: String
    var routes: [JSONObject] = []
  }

  private func expected(_ version: String, _ given: [Given]) -> JSONObject {
    var answer: JSONObject = ["cniVersion": .string(version)]
    if version < "0.3.0" {
      for ip in given {
        var part: JSONObject = ["ip": .string(ip.address), "gateway": .string(ip.gateway)]
        if !ip.routes.isEmpty { part["routes"] = .array(ip.routes.map { .object($0) }) }
        answer[ip.address.contains(":") ? "ip6" : "ip4"] = .object(part)
      }
    } else {
      answer["ips"] = .array(
        given.map { ip in
          var object: JSONObject = version < "1.0.0" ? ["version": ip.address.contains(":") ? "6" : "4"] : [:]
          object["address"] = .string(ip.address)
          object["gateway"] = .string(ip.gateway)
          return .object(object)
        })
      let routes = given.flatMap(\.routes)
      if !routes.isEmpty { answer["routes"] = .array(routes.map { .object($0) }) }
    }
    if version < "1.0.0" { answer["dns"] = [:] }
    return answer
  }

  @Test(arguments: Runtime.versions) func addressesComeFromEachRangeSetWithRoutes(_ version: String) throws {
    let runtime = try Runtime.reference("host-local", version)
    let node = runtime.node
    let configuration = configuration(
      runtime,
      [
        "ranges": [
          [["subnet": "10.1.2.0/24"], ["subnet": "10.2.2.0/24"]], [["subnet": "2001:db8:1::/64"]],
        ],
        "routes": [
          ["dst": "0.0.0.0/0"], ["dst": "192.168.0.0/16", "gw": "1.1.1.1"], ["dst": "::/0"],
          ["dst": "2001:db8:2::/64", "gw": "2001:db8:3::1"],
        ],
      ])
    let added = try runtime.call(
      "ADD", nil, id: "dummy", configuration: configuration, environment: ["CNI_NETNS": "/some/where"])
    let given = [
      Given(
        address: "10.1.2.2/24", gateway: "10.1.2.1",
        routes: [["dst": "0.0.0.0/0"], ["dst": "192.168.0.0/16", "gw": "1.1.1.1"]]),
      Given(
        address: "2001:db8:1::2/64", gateway: "2001:db8:1::1",
        routes: [["dst": "::/0"], ["dst": "2001:db8:2::/64", "gw": "2001:db8:3::1"]]),
    ]
    #expect(added.json == expected(version, given), "\(added)")
    // The first allocation has no last reserved address, which is not worth a message.
    #expect(added.process.errors == "")
    let rest = ["last_reserved_ip.0": "10.1.2.2", "last_reserved_ip.1": "2001:db8:1::2"]
    let leases = ["10.1.2.2": "dummy\r\neth0", "2001:db8:1::2": "dummy\r\neth0"]
    #expect(try files(node) == rest.merging(leases) { $1 })

    let check = try runtime.call(
      "CHECK", nil, id: "dummy", configuration: runtime.configuration(configuration, after: added),
      environment: ["CNI_NETNS": "/some/where"])
    #expect(check.code == (version < "0.4.0" ? 1 : nil), "\(check)")
    for _ in 1...2 {
      #expect(try runtime.call("DEL", nil, id: "dummy", configuration: configuration).process.succeeded().output == "")
    }
    #expect(try files(node) == rest)
    let gone = try runtime.call(
      "CHECK", nil, id: "dummy", configuration: runtime.configuration(configuration, after: added),
      environment: ["CNI_NETNS": "/some/where"])
    #expect(
      version < "0.4.0"
        || gone.message.hasPrefix("host-local: Failed to find address added by container dummy"), "\(gone)")
  }

  @Test(arguments: Runtime.versions) func eachInterfaceHasItsOwnLease(_ version: String) throws {
    let runtime = try Runtime.reference("host-local", version)
    let node = runtime.node
    let configuration = configuration(runtime, ["subnet": "10.1.2.0/24"])
    func add(_ id: String, _ interface: String) throws -> Runtime.Answer {
      try runtime.call(
        "ADD", nil, id: id, interface: interface, configuration: configuration,
        environment: ["CNI_NETNS": "/some/where"])
    }
    #expect(try add("dummy", "eth0").json == expected(version, [Given(address: "10.1.2.2/24", gateway: "10.1.2.1")]))
    #expect(try add("dummy", "eth1").addresses == ["10.1.2.3/24"])
    let again = try add("dummy", "eth0")
    let words = "10.1.2.2 has been allocated to dummy, duplicate allocation is not allowed"
    #expect(again.process.status == 1 && again.code == 999 && again.message.contains(words), "\(again)")
    #expect(try add("dummy2", "eth0").addresses == ["10.1.2.4/24"])
    try runtime.call("DEL", nil, id: "dummy", interface: "eth0", configuration: configuration).process.succeeded()
    #expect(
      try files(node) == [
        "10.1.2.3": "dummy\r\neth1", "10.1.2.4": "dummy2\r\neth0", "last_reserved_ip.0": "10.1.2.4",
      ])
  }

  @Test(arguments: Runtime.versions) func leasesOfOtherReleasesAreReleased(_ version: String) throws {
    let runtime = try Runtime.reference("host-local", version)
    let node = runtime.node
    let configuration = configuration(runtime, ["subnet": "10.1.2.0/24"])
    try runtime.call("DEL", nil, id: "never", configuration: configuration).process.succeeded()
    // An ID alone, as the first releases wrote it, and an ID with white space around it.
    try node.sh(
      """
      mkdir -p \(Self.path) && cd \(Self.path)
      printf dummy >10.1.2.7 && printf '  spaced \\r\\neth0\\n' >10.1.2.8 && printf 'other\\r\\neth0' >10.1.2.9
      """)
    for id in ["dummy", "spaced"] {
      try runtime.call("DEL", nil, id: id, configuration: configuration).process.succeeded()
    }
    #expect(try files(node) == ["10.1.2.9": "other\r\neth0"])
    // An ID that is an address: the reference takes the file with the last reserved address for its lease.
    try runtime.call("ADD", nil, id: "a", configuration: configuration, environment: ["CNI_NETNS": "/x"]).process
      .succeeded()
    try runtime.call("DEL", nil, id: "10.1.2.2", configuration: configuration).process.succeeded()
    #expect(
      try files(node) == ["10.1.2.9": "other\r\neth0", "10.1.2.2": "a\r\neth0", "last_reserved_ip.0": "10.1.2.2"])
  }

  /// An address request by CNI_ARGS, by `args` or by the capability.
  struct Request: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let subnets: [String]
    var arguments = ""
    var keys: JSONObject = [:]
    /// The expected addresses; empty if ADD must refuse the request.
    let addresses: [String]
  }

  static let requests: [Request] = [
    Request(
      testDescription: "CNI_ARGS", subnets: ["10.1.2.0/24"], arguments: "IP=10.1.2.88", addresses: ["10.1.2.88/24"]),
    Request(
      testDescription: "CNI_ARGS with a length, among others", subnets: ["10.1.2.0/24"],
      arguments: "IgnoreUnknown=1;K8S_POD_NAME=web;IP=10.1.2.89/16", addresses: ["10.1.2.89/24"]),
    Request(
      testDescription: "MAC is no unknown key", subnets: ["10.1.2.0/24"],
      arguments: "IP=10.1.2.90;MAC=c2:b0:57:49:47:f1;", addresses: ["10.1.2.90/24"]),
    Request(
      testDescription: "args", subnets: ["10.1.2.0/24", "10.1.3.0/24"], arguments: "IP=10.1.2.91",
      keys: ["args": ["cni": ["ips": ["10.1.3.77/24"]]]], addresses: ["10.1.2.91/24", "10.1.3.77/24"]),
    Request(
      testDescription: "both families", subnets: ["10.1.2.0/24", "2001:db8:1::/64"],
      keys: ["args": ["cni": ["ips": ["10.1.2.92", "2001:db8:1::999"]]]],
      addresses: ["10.1.2.92/24", "2001:db8:1::999/64"]),
    Request(
      testDescription: "capabilities", subnets: ["10.1.2.0/24"],
      keys: [
        "RuntimeConfig": ["IPs": ["10.1.2.93/24", "fd00::5"], "ipRanges": [[["subnet": "fd00::/64"]]]]
      ], addresses: ["fd00::5/64", "10.1.2.93/24"]),
    Request(
      testDescription: "an address outside of the ranges", subnets: ["10.1.2.0/24"],
      keys: ["args": ["cni": ["ips": ["10.1.2.94", "10.1.9.9"]]]], addresses: []),
    Request(testDescription: "the gateway", subnets: ["10.1.2.0/24"], arguments: "IP=10.1.2.1", addresses: []),
  ]

  @Test(arguments: Runtime.versions) func requestsAreServedOrRefused(_ version: String) throws {
    let runtime = try Runtime.reference("host-local", version)
    let node = runtime.node
    for (index, request) in Self.requests.enumerated() {
      let ranges = JSONValue.array(request.subnets.map { [["subnet": .string($0)]] })
      let configuration = configuration(runtime, ["ranges": ranges], request.keys)
      let before = try files(node).filter { !$0.key.hasPrefix("last") }
      let answer = try runtime.call(
        "ADD", nil, id: "dummy\(index)", arguments: request.arguments, configuration: configuration,
        environment: ["CNI_NETNS": "/x"])
      let isTooMuch = version < "0.3.0" && request.subnets.filter { !$0.contains(":") }.count > 1
      let leases = try files(node).filter { !$0.key.hasPrefix("last") }
      if request.addresses.isEmpty || isTooMuch {
        #expect(answer.code == 7, "\(request.testDescription): \(answer)")
        #expect(leases == before, "\(request.testDescription)")
      } else {
        // Versions before 0.3.0 have a place for each family, and no order.
        #expect(
          version < "0.3.0"
            ? Set(answer.addresses) == Set(request.addresses) : answer.addresses == request.addresses,
          "\(request.testDescription): \(answer)")
        #expect(leases.count == before.count + request.addresses.count)
      }
    }
  }

  @Test(arguments: Runtime.versions) func anInvalidConfigurationIsReported(_ version: String) throws {
    let runtime = try Runtime.reference("host-local", version)
    let cases: [(ipam: JSONValue?, message: String)] = [
      (nil, "IPAM config missing 'ipam' key"), (["type": "host-local"], "no IP ranges specified"),
      (["type": "host-local", "ranges": [[["subnet": "10.1.2.0/31"]]]], "too small to allocate from"),
      (["type": "host-local", "subnet": "10.1.2.3/24"], "Network has host bits set"),
    ]
    for example in cases {
      var configuration = configuration(runtime, [:])
      configuration["ipam"] = example.ipam
      let answer = try runtime.call("ADD", nil, id: "a", configuration: configuration, environment: ["CNI_NETNS": "/x"])
      #expect(answer.code == 7 && answer.message.contains(example.message), "\(answer)")
      // The reference's DEL fails like its ADD, so its lease is never freed.
      try runtime.call("DEL", nil, id: "a", arguments: "nonsense", configuration: configuration).process.succeeded()
    }
    let unknown = try runtime.call(
      "ADD", nil, id: "a", arguments: "COLOUR=red", configuration: configuration(runtime, ["subnet": "10.1.2.0/24"]),
      environment: ["CNI_NETNS": "/x"])
    #expect(unknown.code == 4 && unknown.message.contains("unknown args [\"COLOUR=red\"]"), "\(unknown)")
    #expect(try runtime.node.lines("find /run/leases -type f ! -name lock 2>/dev/null || true") == [])
  }

  // MARK: Verbs that the reference lacks

  @Test func gcRemovesInvalidLeases() throws {
    let runtime = try Runtime.reference("host-local", "1.1.0")
    let node = runtime.node
    var configuration = configuration(runtime, ["ranges": runtime.ranges(.dual)])
    for id in ["a", "b"] {
      try runtime.call("ADD", nil, id: id, configuration: configuration, environment: ["CNI_NETNS": "/x"]).process
        .succeeded()
    }
    try runtime.call("GC", nil, configuration: configuration).process.succeeded()
    #expect(try files(node).count == 6)
    try runtime.collect(keeping: ["b"], configuration)
    #expect(
      try files(node).filter { !$0.key.hasPrefix("last") }.values.sorted() == ["b\r\neth0", "b\r\neth0"])
    configuration["cni.dev/attachments"] = .null
    try runtime.call("GC", nil, configuration: configuration).process.succeeded()
    #expect(try files(node).keys.sorted() == ["last_reserved_ip.0", "last_reserved_ip.1"])
    #expect(try runtime.call("STATUS", nil, configuration: configuration).process.succeeded().output == "")
  }
}
