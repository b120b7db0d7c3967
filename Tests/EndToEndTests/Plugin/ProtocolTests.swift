import JSON
import Testing
import TestSupport

/// The CNI protocol for every verb: the reference library's tests, with the shipped program under each of its names.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct ProtocolTests {
  /// A node with causeway under all its names.
  private func node() throws -> TestNode {
    let node = try TestNode()
    try node.sh(
      "for name in causeway bridge host-local flannel; do ln -s \(Binaries.causeway) /opt/cni/bin/$name; done")
    return node
  }

  private static let names = ["causeway", "bridge", "host-local", "flannel"]

  // MARK: VERSION and no command

  @Test func versionNeedsNoVariablesAndReadsNoInput() throws {
    let node = try node()
    let expected = """
      {"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}

      """
    // Reading this standard input would block forever.
    try node.sh("mkfifo /run/silence")
    for name in Self.names {
      let script = "env -i CNI_COMMAND=VERSION /opt/cni/bin/\(name)"
      for input in ["0<>/run/silence", "<&-", "</", "<<<nonsense"] {
        let answer = try node.run(["/bin/bash", "-c", "\(script) \(input)"], limit: .seconds(10))
        #expect(answer.status == 0 && answer.output == expected && answer.errors == "", "\(input): \(answer)")
      }
      // The version in the answer is the plugin's, not the caller's.
      let asked = try node.run(
        ["/opt/cni/bin/\(name)"], environment: ["CNI_COMMAND": "VERSION", "CNI_CONTAINERID": "../x"],
        input: "{\"cniVersion\": \"0.2.0\"}")
      #expect(asked.output == expected)
    }
  }

  @Test func withoutACommandItPrintsItsVersion() throws {
    let node = try node()
    for name in Self.names {
      for environment in [[:], ["CNI_COMMAND": ""], ["CNI_CONTAINERID": "a", "CNI_PATH": "/x"]] {
        let process = try node.run(["/opt/cni/bin/\(name)"], environment: environment)
        #expect(process.status == 0 && process.output == "")
        let lines = process.errors.split(separator: "\n")
        #expect(lines.count == 2 && lines.first?.hasPrefix("causeway") == true)
        #expect(
          lines.last == "CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0")
      }
    }
  }

  // MARK: The environment

  /// The required variables of each verb, in the order of the error message.
  static let requirements: [(verb: String, variables: [String])] = [
    ("ADD", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
    ("CHECK", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
    ("DEL", ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"]), ("GC", ["CNI_PATH"]), ("STATUS", ["CNI_PATH"]),
  ]

  @Test(arguments: ["bridge", "host-local"]) func missingVariablesAreNamedTogether(_ name: String) throws {
    let node = try node()
    let full = ["CNI_CONTAINERID": "a", "CNI_NETNS": "/x", "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin"]
    func refusal(_ environment: [String: String]) throws -> String {
      let process = try node.run(["/opt/cni/bin/\(name)"], environment: environment, input: "{")
      #expect(process.status == 1)
      let json = try JSONValue(parsing: Array(process.output.utf8)).object
      #expect(json?["code"] == 4 && json?["details"] == nil, "\(process)")
      return json?["msg"]?.string ?? ""
    }
    for requirement in Self.requirements {
      let all = try refusal(["CNI_COMMAND": requirement.verb])
      #expect(all == "required env variables [\(requirement.variables.joined(separator: ","))] missing")
      for variable in requirement.variables {
        var environment = full.merging(["CNI_COMMAND": requirement.verb]) { $1 }
        environment[variable] = nil
        #expect(try refusal(environment) == "required env variables [\(variable)] missing")
      }
    }
    #expect(try refusal(full.merging(["CNI_COMMAND": "UPDATE"]) { $1 }) == "unknown CNI_COMMAND: UPDATE")
  }

  /// Corrects faults of every kind one after the other. They are reported in the reference's order, and nothing is
  /// changed before the last is corrected.
  @Test(arguments: ["ADD", "CHECK", "DEL"], Runtime.versions)
  func faultsAreReportedInTheReferencesOrder(_ verb: String, _ version: String) throws {
    let node = try node()
    var runtime = Runtime(node: node, plugin: "/opt/cni/bin/bridge", version: version)
    runtime.searchPath = ""
    var environment = ["CNI_NETNS": "/no/such/path"]
    var input = "{\"name\": "
    var (id, interface) = ("a/b", "a b")
    func fault() throws -> String {
      let answer = try runtime.call(
        verb, nil, id: id, interface: interface, input: input, environment: environment)
      #expect(answer.process.status == 1 && answer.process.errors == "")
      // Errors carry no `cniVersion`.
      #expect(answer.json?["cniVersion"] == nil)
      return "\(answer.code ?? 0) \(answer.json?["msg"]?.string ?? "")"
    }
    #expect(try fault() == "4 invalid characters in containerID")
    id = "a"
    #expect(try fault() == "4 interface name contains / or : or whitespace characters")
    interface = "eth0"
    #expect(try fault() == "4 required env variables [CNI_PATH] missing")
    runtime.searchPath = "/opt/cni/bin"
    #expect(try fault().hasPrefix("6 error unmarshall network config: "))
    var configuration: JSONObject = ["cniVersion": "9.9.9", "mtu": -1, "prevResult": 5]
    func write() throws { input = try JSONValue.object(configuration).text() }
    try write()
    #expect(try fault() == "7 missing network name")
    configuration["name"] = "a/b"
    try write()
    #expect(try fault() == "7 invalid characters found in network name")
    configuration["name"] = "a"
    try write()
    #expect(
      try fault() == (verb == "CHECK" ? "1 plugin version does not allow CHECK" : "1 incompatible CNI versions"))
    configuration["cniVersion"] = .string(version)
    try write()
    if verb == "CHECK", version < "0.4.0" {
      #expect(try fault() == "1 config version does not allow CHECK")
    } else if verb == "DEL" {
      // The other faults do not matter to DEL.
      let answer = try runtime.call(
        verb, nil, id: id, interface: interface, input: input, environment: environment)
      try answer.process.succeeded()
    } else {
      #expect(try fault().hasPrefix("6 cannot read prevResult: "))
      configuration["prevResult"] = [:]
      try write()
      #expect(try fault().hasPrefix("7 mtu must be"))
      configuration["mtu"] = 0
      configuration["ipam"] = ["type": "host-local", "subnet": "10.9.0.0/24"]
      try write()
      #expect(try fault().hasPrefix("8 CNI_NETNS \"/no/such/path\""))
      environment["CNI_NETNS"] = "/proc/self/ns/net"
      #expect(try fault() == "8 plugin's netns and netns from CNI_NETNS should not be the same")
    }
    #expect(try node.view().links.count == 1)
    #expect(try node.remains() == [])
  }

  @Test func anUnreadableStandardInputIsReported() throws {
    let node = try node()
    let variables = "CNI_CONTAINERID=a CNI_NETNS=/x CNI_IFNAME=eth0 CNI_PATH=/x"
    for verb in ["ADD", "CHECK", "DEL", "GC", "STATUS"] {
      for input in ["</", "<&-"] {
        let process = try node.run(
          ["/bin/sh", "-c", "CNI_COMMAND=\(verb) \(variables) /opt/cni/bin/bridge \(input)"])
        let json = try JSONValue(parsing: Array(process.output.utf8)).object
        #expect(process.status == 1 && json?["code"] == 5, "\(process)")
        #expect(json?["msg"]?.string?.hasPrefix("error reading from stdin: ") == true)
      }
    }
  }

  /// Checks that an error is written to standard output, indented by four and without a final newline, like the
  /// reference's.
  @Test func errorsHaveTheReferencesLayout() throws {
    let node = try node()
    let process = try node.run(
      ["/opt/cni/bin/bridge"],
      environment: ["CNI_COMMAND": "DEL", "CNI_CONTAINERID": "a", "CNI_IFNAME": "eth0", "CNI_PATH": "/x"],
      input: "{\"name\": \"a/b\"}")
    #expect(
      process.output == """
        {
            "code": 7,
            "msg": "invalid characters found in network name",
            "details": "a/b"
        }
        """)
    #expect(process.errors == "")
  }

  // MARK: The configuration

  /// Reads case, `null`, unknown keys and repeated keys as Go's JSON package does.
  @Test(arguments: Runtime.versions) func aConfigurationIsReadLikeGoDoes(_ version: String) throws {
    let runtime = try Runtime.reference("bridge", version)
    let node = runtime.node
    for pod in ["a", "b", "c", "d"] { try node.addPod(pod) }
    let input = """
      {"CNIVERSION": "9.9.9", "cniVersion": "\(version)", "NAME": "first", "Name": "second", "TYPE": "bridge",
       "capabilities": {"mac": true}, "disableCheck": "true", "colour": {"red": [1, {"green": null}]},
       "bridge": "first", "BRIDGE": "bridge7", "IsGateway": null, "ISDEFAULTGATEWAY": true, "mtu": null, "vlan": null,
       "ipMasq": null, "dns": null, "args": null, "prevResult": null,
       "RuntimeConfig": {"MAC": "c2:b0:57:49:47:f1", "portMappings": [{"HostPort": 80}]},
       "Ipam": {"TYPE": "host-local", "Subnet": "10.1.2.0/24", "ranges": null, "routes": null, "dataDir": null,
                "resolvConf": "", "colour": 5}}
      """
    let answer = try runtime.call("ADD", "a", input: input)
    try answer.process.succeeded()
    #expect(answer.json?["cniVersion"]?.string == version)
    #expect(answer.addresses == ["10.1.2.2/24"])
    #expect(try node.view()["bridge7"] != nil && node.view()["first"] == nil)
    #expect(try node.view(inPod: "a")["eth0"]?["address"]?.string == "c2:b0:57:49:47:f1")
    #expect(try node.leases() == ["/var/lib/cni/networks/second/10.1.2.2"])
    try runtime.call("DEL", "a", input: input).process.succeeded()
    #expect(try node.remains() == [])
  }

  @Test(arguments: ["", "\"cniVersion\": null,", "\"cniVersion\": \"\","])
  func aMissingVersionIsTheFirst(_ key: String) throws {
    let runtime = try Runtime.reference("bridge", "0.1.0")
    try runtime.node.addPod("a")
    let input = """
      {\(key) "name": "a", "type": "bridge", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.1.2.0/24"}}
      """
    let answer = try runtime.call("ADD", "a", input: input)
    try answer.process.succeeded()
    #expect(
      answer.json == [
        "cniVersion": "0.1.0", "ip4": ["ip": "10.1.2.2/24", "gateway": "10.1.2.1"], "dns": [:],
      ])
    let check = try runtime.call("CHECK", "a", input: input)
    #expect(check.code == 1 && check.message.hasPrefix("config version does not allow CHECK"), "\(check)")
  }

  /// Checks that CHECK needs 0.4.0, and GC and STATUS 1.1.0.
  @Test(arguments: ["CHECK", "GC", "STATUS"], ["bridge", "host-local"])
  func verbsRequireTheirFirstVersion(_ verb: String, _ name: String) throws {
    let node = try node()
    try node.addPod("a")
    for version in Runtime.versions + ["1.1.1", "1.0.1", "1.0", "x", "1.0.0.0"] {
      let runtime = Runtime(
        node: node, plugin: "/opt/cni/bin/\(name)", version: version, searchPath: "/opt/cni/bin")
      let answer = try runtime.call(verb, "a", configuration: runtime.bridgeConfiguration([.v4]))
      let first = verb == "CHECK" ? "0.4.0" : "1.1.0"
      let expected: (code: Int64?, message: String) =
        switch version {
        case "x", "1.0.0.0": (6, "cniVersion must be a version")
        case "1.1.1": (1, "plugin version does not allow \(verb)")
        case _ where version < first: (1, "config version does not allow \(verb)")
        case "1.0.1", "1.0": (1, "incompatible CNI versions; config is \"\(version)\"")
        case _ where verb == "CHECK": (name == "bridge" ? 7 : 100, "")
        default: (nil, "")
        }
      #expect(
        answer.code == expected.code && answer.message.hasPrefix(expected.message), "\(version): \(answer)")
    }
  }
}
