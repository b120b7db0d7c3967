import Addresses
import ArgumentParser
@testable import causeway_hostgw
internal import EtcdStore
import Linux
internal import OwnNode
import StoreTransport
import Testing
import TestSupport

@Suite struct OptionSourcesTests {
  /// Options parsed from a command line, an environment and a configuration file.
  private func options(
    _ arguments: [String], _ environment: [String: String] = [:], file: String? = nil
  ) throws -> Options {
    let all = try OptionSources.arguments(
      ["sync"] + arguments + (file == nil ? [] : ["--config", "/conf.json"]),
      environment: { environment[$0] }, readFile: { _ in Array((file ?? "").utf8) })
    return try #require(try HostGatewayCommand.parseAsRoot(all) as? any CommandWithOptions).options
  }

  /// The error message that the command prints.
  private func message(
    _ arguments: [String], _ environment: [String: String] = [:], file: String? = nil
  ) throws -> String {
    let error = try #require(throws: (any Error).self) { try options(arguments, environment, file: file) }
    return HostGatewayCommand.message(for: error)
  }

  @Test func everyOptionIsReadFromEverySource() throws {
    let values = [
      "store": "file", "nodes-file": "/n", "node-name": "a", "iface": "eth0",
      "iface-regex": "^eth[0-9]{1,3}$", "iface-can-reach": "192.0.2.1", "public-ip": "192.0.2.1",
      "public-ipv6": "fd00::1", "subnet-file": "/s", "state-dir": "/d", "lease-copy": "/l", "ip-masq": "true",
      "ip-masq-ports": "random", "forward-rules": "false", "forward-insert": "true", "blackhole-route": "false",
      "mtu-per-route": "true",
      "take-over-flannel": "true", "cni-conf-source": "/s", "cni-conf-file": "/f", "healthz-ip": "192.0.2.1",
      "healthz-port": "1", "log-level": "debug", "log-format": "json",
      "etcd-endpoints": "https://a:1,http://[fd00::1]:2",
      "etcd-prefix": "/p", "etcd-cafile": "/ca", "etcd-certfile": "/c", "etcd-keyfile": "/k", "etcd-username": "u",
      "etcd-password": "secret", "subnet-lease-ttl": "1h30m", "subnet-lease-renew-margin": "5",
      "kubeconfig-file": "/k", "kube-api-url": "https://192.0.2.1:6443", "kube-annotation-prefix": "example.com",
      "net-config-path": "/n", "set-node-network-unavailable": "false", "gc-interval": "5m", "cni-bin-dir": "/b",
      "fast-path": "auto", "fast-path-flows": "sight",
    ]
    #expect(Set(values.keys) == Set(Options.names))
    let unchanged = "\(try options([]))"
    for (name, value) in values {
      let variable = "CAUSEWAY_" + name.uppercased().replacing("-", with: "_")
      let byFlag = try options(["--\(name)=\(value)"])
      let byVariable = try options([], [variable: value])
      var byFile = try options([], file: #"{"\#(name)": "\#(value)"}"#)
      byFile.config = nil
      #expect("\(byVariable)" == "\(byFlag)")
      #expect("\(byFile)" == "\(byFlag)")
      #expect("\(byFlag)" != unchanged || name == "store", "\(name) changes nothing")
    }
  }

  @Test func flagBeatsEnvironmentBeatsFile() throws {
    let file = #"{"nodes-file": "/file", "node-name": "file", "iface": "file"}"#
    let environment = ["CAUSEWAY_NODES_FILE": "/environment", "CAUSEWAY_NODE_NAME": "environment"]
    let options = try options(["--nodes-file", "/flag"], environment, file: file)
    #expect(options.nodesFile == "/flag")
    #expect(options.nodeName == "environment")
    #expect(options.iface == ["file"])
  }

  @Test(
    arguments: [
      (["--iface", "a", "--iface=b,c"], [:], nil, ["a", "b", "c"]),
      ([], ["CAUSEWAY_IFACE": "a,b"], nil, ["a", "b"]), ([], [:], #"{"iface": ["a", "b"]}"#, ["a", "b"]),
      ([], [:], #"{"iface": "a,b"}"#, ["a", "b"]), (["--iface="], [:], #"{"iface": ""}"#, []),
      (["--iface", "a"], ["CAUSEWAY_IFACE": "b"], #"{"iface": ["c", "d"]}"#, ["a"]),
      (["--iface-can-reach=fd00::1"], ["CAUSEWAY_IFACE": "b"], #"{"iface": ["c", "d"]}"#, ["b"]),
    ] as [([String], [String: String], String?, [String])])
  func listIsReadFromOneSource(
    arguments: [String], environment: [String: String], file: String?, expected: [String]
  ) throws {
    #expect(try options(arguments, environment, file: file).interfaceSelection.names == expected)
  }

  @Test func interfaceSelectionIsReadFromAllSources() throws {
    let selection = try options(
      ["--iface-regex=^eth[0-9]{1,3}$", "--iface-regex", "lan", "--public-ip=192.0.2.1"],
      ["CAUSEWAY_IFACE_CAN_REACH": "192.0.2.9,fd00::9"], file: #"{"public-ipv6": "fd00::1"}"#
    ).interfaceSelection
    #expect(selection.patterns == ["^eth[0-9]{1,3}$", "lan"])
    #expect(selection.reachable.map(\.description) == ["192.0.2.9", "fd00::9"])
    #expect(selection.publicAddresses.map(\.description) == ["192.0.2.1", "fd00::1"])
  }

  @Test func environmentMayNameTheConfigurationFile() throws {
    let all = try OptionSources.arguments(
      ["sync"], environment: { $0 == "CAUSEWAY_CONFIG" ? "/c" : nil },
      readFile: { path in
        #expect(path == "/c")
        return Array(#"{"node-name": "x"}"#.utf8)
      })
    #expect(all == ["sync", "--node-name=x"])
  }

  @Test(
    arguments: [
      (["--ip-masq"], [:], nil, true), (["--ip-masq=true"], [:], nil, true), (["--ip-masq=false"], [:], nil, false),
      ([], ["CAUSEWAY_IP_MASQ": "true"], nil, true), ([], [:], #"{"ip-masq": true}"#, true),
      ([], [:], #"{"ip-masq": "true"}"#, true), (["--ip-masq=false"], ["CAUSEWAY_IP_MASQ": "true"], nil, false),
      ([], ["CAUSEWAY_IP_MASQ": ""], nil, false),
    ] as [([String], [String: String], String?, Bool)])
  func booleanFlags(arguments: [String], environment: [String: String], file: String?, expected: Bool) throws {
    #expect(try options(arguments, environment, file: file).rules.ipMasq == expected)
  }

  @Test func errorNamesTheValueAndItsSource() throws {
    #expect(try message(["--log-level", "loud"]).contains("'loud' is none of"))
    #expect(try message(["--store", "cloud"]).contains("there is no store 'cloud', only file, etcd"))
    #expect(try message(["--etcd-endpoints", "192.0.2.1:2379"]).contains("no list like http://192.0.2.1:2379"))
    for endpoint in ["http://flannel:canal@192.0.2.1:2379", "flannel:canal@a", "http://a:1,http://u:canal@b:2"] {
      for told in [
        try message(["--etcd-endpoints", endpoint]), try message([], ["CAUSEWAY_ETCD_ENDPOINTS": endpoint]),
        try message([], file: #"{"etcd-endpoints": "\#(endpoint)"}"#),
      ] {
        #expect(!told.contains("canal") && told.contains("--etcd-username"), "\(told)")
      }
    }
    #expect(try message(["--etcd-prefix", "here"]).contains("'here' is no key like /coreos.com/network"))
    #expect(try message(["--subnet-lease-ttl", "soon"]).contains("'soon' is no time like 24h"))
    #expect(try message(["--subnet-lease-renew-margin", "0"]).contains("from 1 to 1439 minutes, not 0"))
    #expect(try message(["--public-ip", "fd00::1"]).contains("'fd00::1' is no IPv4 address"))
    #expect(try message(["--state-dir", "here"]).contains("--state-dir must be an absolute path, not 'here'"))
    #expect(try message([], ["CAUSEWAY_STORE": "cloud"]).contains("environment variable CAUSEWAY_STORE"))
    #expect(try message([], file: #"{"ip-masq": "maybe"}"#).contains(#"/conf.json, key "ip-masq""#))
    #expect(try message([], file: #"{"nodesfile": "/x"}"#).contains(#"/conf.json: unknown key "nodesfile""#))
    #expect(try message([], file: #"{"config": "/x"}"#).contains(#"unknown key "config""#))
    #expect(try message([], file: #"{"nodes-file": ["/x"]}"#).contains("nodes-file must be a string"))
    #expect(try message([], file: #"{"iface": [7]}"#).contains("iface must be a string or a list of strings"))
    #expect(try message(["--iface-regex", "eth["]).contains("'eth[' is no regular expression"))
    #expect(try message(["--iface-can-reach", "192.0.2.1,gateway"]).contains("'gateway' is no address"))
    #expect(try message([], file: "[]").contains("the configuration must be a JSON object"))
    #expect(try message([], file: "{").contains("/conf.json: "))
    #expect(try message(["--kube-api-url", "ftp://a"]).contains("'ftp://a' is no URL like https://192.0.2.1:6443"))
  }

  /// Messages show neither the JSON text around an error nor a complete value.
  @Test(arguments: [
    "\"etcd-password\": \"hush\n\"", "\"etcd-password\" \"hush\"", "\"etcd-password\": \"a\"hush\"",
    "\"etcd-password\": [\"hush\"]", "\"etcd-password\": \"hush\", \"log-level\": \"loud\"",
    "\"kube-api-url\": \"https://me:hush@192.0.2.1:6443\"", "\"etcd-endpoints\": \"https://me:hush@192.0.2.1:2379\"",
  ])
  func secretsAreNotToldWithWhatIsWrong(_ members: String) throws {
    let told = try message([], file: "{\(members)}")
    #expect(told.contains("/conf.json") && !told.contains("hush"), "\(told)")
  }

  @Test(arguments: [
    ("24h", 86400), ("90m", 5400), ("45s", 45), ("1h30m", 5400), ("1h1m1s", 3661), ("", nil), ("24", nil), ("h", nil),
    ("1d", nil), ("1h30", nil), ("-1h", nil), ("1.5h", nil), ("9999999999h", nil),
  ])
  func durations(text: String, seconds: Int?) {
    #expect((try? TimeText.duration(text)) == seconds.map { .seconds($0) })
  }

  @Test func dependentEtcdOptionsAreValidatedTogether() throws {
    let alone = try options(["--etcd-certfile", "/c"])
    #expect(throws: ValidationError.self) { try alone.etcd.validateTogether() }
    let noPassword = try options(["--etcd-username", "u"], ["CAUSEWAY_ETCD_PASSWORD": ""])
    #expect(throws: ValidationError.self) { try noPassword.etcd.validateTogether() }
    let both = try options(["--etcd-username", "u"], ["CAUSEWAY_ETCD_PASSWORD": "p"])
    try both.etcd.validateTogether()
    #expect(
      both.etcd.access.password == Secret("p") && !"\(both)".contains("Secret")
        && both.etcd.access.endpoints == ["http://127.0.0.1:2379"])
    #expect(try options(["--etcd-prefix", "/p//"]).etcd.access.prefix == "/p")
  }

  @Test func exampleConfigurationForEtcdIsValid() throws {
    let file = "\(Binaries.packageRoot)/conf/hostgw-etcd.json"
    let all = try OptionSources.arguments(
      ["run", "--config", file], environment: { _ in nil }, readFile: { try Files.read($0, limit: 65536) ?? [] })
    let options = try #require(try HostGatewayCommand.parseAsRoot(all) as? any CommandWithOptions).options
    try options.etcd.validateTogether()
    #expect(options.store == .etcd && options.etcd.access.endpoints.count == 3)
  }
}
