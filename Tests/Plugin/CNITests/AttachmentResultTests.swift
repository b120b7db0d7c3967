import Addresses
import CNI
import JSON
import Testing
import TestSupport

@Suite struct AttachmentResultTests {
  /// A result of the newest version: three links, both families, a route with every option.
  private static func sample() throws -> AttachmentResult {
    var policy = PodRoute(try #require(IPPrefix("10.8.0.0/16")))
    policy.mtuBytes = 1400
    policy.advertisedMSSBytes = 1360
    policy.priority = 7
    policy.table = 0
    policy.scope = 0
    var dns = DNS()
    dns.nameservers = ["10.96.0.10"]
    return AttachmentResult(
      interfaces: [
        .init(name: "cni0", mac: "0a:00:00:00:00:01", mtuBytes: 1500),
        .init(name: "veth1", mac: "0a:00:00:00:00:02", mtuBytes: 1500),
        .init(name: "eth0", mac: "0a:00:00:00:00:03", mtuBytes: 1500, sandbox: "/run/netns/a"),
      ],
      ips: [
        .init(address: try #require(IPPrefix("10.1.0.5/16")), gateway: IPAddress("10.1.0.1"), interface: 2),
        .init(address: try #require(IPPrefix("fd00::5/64")), gateway: IPAddress("fd00::1"), interface: 2),
      ],
      routes: [PodRoute(.everything(.v4), via: IPAddress("10.1.0.1")), policy, PodRoute(.everything(.v6))], dns: dns)
  }

  private static let old = """
    "ip4":{"ip":"10.1.0.5/16","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"},{"dst":"10.8.0.0/16"}]},\
    "ip6":{"ip":"fd00::5/64","gateway":"fd00::1","routes":[{"dst":"::/0"}]},"dns":{"nameservers":["10.96.0.10"]}}
    """
  private static let links = """
    "interfaces":[{"name":"cni0","mac":"0a:00:00:00:00:01"},{"name":"veth1","mac":"0a:00:00:00:00:02"},\
    {"name":"eth0","mac":"0a:00:00:00:00:03","sandbox":"/run/netns/a"}],
    """
  private static let linksWithMTU = """
    "interfaces":[{"name":"cni0","mac":"0a:00:00:00:00:01","mtu":1500},\
    {"name":"veth1","mac":"0a:00:00:00:00:02","mtu":1500},\
    {"name":"eth0","mac":"0a:00:00:00:00:03","mtu":1500,"sandbox":"/run/netns/a"}],
    """
  private static let ipsWithVersion = """
    "ips":[{"version":"4","interface":2,"address":"10.1.0.5/16","gateway":"10.1.0.1"},\
    {"version":"6","interface":2,"address":"fd00::5/64","gateway":"fd00::1"}],
    """
  private static let ips = """
    "ips":[{"interface":2,"address":"10.1.0.5/16","gateway":"10.1.0.1"},\
    {"interface":2,"address":"fd00::5/64","gateway":"fd00::1"}],
    """
  /// The options of routes came with 1.1.0, but the reference writes them in older versions too.
  private static let rest = """
    "routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"},\
    {"dst":"10.8.0.0/16","mtu":1400,"advmss":1360,"priority":7,"table":0,"scope":0},{"dst":"::/0"}],\
    "dns":{"nameservers":["10.96.0.10"]}}
    """

  private static let newer = links + ipsWithVersion + rest
  static let shapes: [(version: String, body: String)] = [
    ("0.1.0", old), ("0.2.0", old), ("0.3.0", newer), ("0.3.1", newer), ("0.4.0", newer),
    ("1.0.0", links + ips + rest), ("1.1.0", linksWithMTU + ips + rest),
  ]

  @Test(arguments: shapes)
  func everyVersionHasItsFormat(version: String, body: String) throws {
    let text = try Self.sample().json(try #require(SpecVersion(version))).text()
    #expect(text == "{\"cniVersion\":\"\(version)\"," + body)
  }

  @Test(arguments: SpecVersion.supported) func aWrittenResultIsReadAsItWas(_ version: SpecVersion) throws {
    var expected = try Self.sample()
    if version < SpecVersion(1, 1, 0) {
      for index in expected.interfaces.indices { expected.interfaces[index].mtuBytes = nil }
    }
    if version < SpecVersion(0, 3, 0) {
      expected.interfaces = []
      for index in expected.ips.indices { expected.ips[index].interface = nil }
      expected.routes = expected.routes.map { PodRoute($0.destination, via: $0.gateway) }
    }
    let text = try Self.sample().json(version).text()
    #expect(try AttachmentResult(fields(text), version: version) == expected)
    #expect(try expected.json(version).text() == text)
  }

  @Test func indexZeroIsNotAnAbsentIndex() throws {
    let text = #"{"cniVersion":"1.1.0","ips":[{"interface":0,"address":"10.1.0.5/16"},{"address":"10.1.0.6/16"}]}"#
    let result = try AttachmentResult(fields(text), version: .current)
    #expect(result.ips.map(\.interface) == [0, nil])
    #expect(try result.json(.current).text() == text)
  }

  @Test func routesOfTheOldestVersionsWithAndWithoutGateway() throws {
    let text = """
      {"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/16","routes":[{"dst":"10.2.0.0/16","gw":"10.1.0.9"},\
      {"dst":"10.3.0.0/16"}]},"dns":{}}
      """
    let result = try AttachmentResult(fields(text), version: SpecVersion(0, 2, 0))
    #expect(result.routes.map(\.gateway) == [IPAddress("10.1.0.9"), nil])
    #expect(try result.json(SpecVersion(0, 2, 0)).text() == text)
  }

  @Test func theOldestVersionsHaveOneAddressOfEachFamily() throws {
    var result = try Self.sample()
    result.ips.insert(.init(address: try #require(IPPrefix("10.9.0.5/16"))), at: 1)
    let ip4 = try result.json(SpecVersion(0, 1, 0)).object?["ip4"]?.object
    #expect(ip4?["ip"] == "10.1.0.5/16")
    result.ips.removeAll { $0.address.family == .v4 }
    let json = try result.json(SpecVersion(0, 1, 0)).object
    #expect(json?["ip4"] == nil)
    #expect(json?["ip6"]?.object?["ip"] == "fd00::5/64")
  }

  @Test(arguments: SpecVersion.supported) func theOldestVersionsNeedAnAddress(_ version: SpecVersion) throws {
    let result = AttachmentResult(interfaces: [.init(name: "eth0", mac: "")])
    if version < SpecVersion(0, 3, 0) {
      let error = try #require(thrown { _ = try result.json(version) })
      #expect(error.code == .incompatibleVersion)
      #expect(error.message == "cannot convert: no valid IP addresses")
    } else {
      let object = try #require(try result.json(version).object)
      #expect(object["interfaces"] == [["name": "eth0"]])
      #expect(object["ips"] == nil && object["routes"] == nil)
    }
  }

  @Test(arguments: SpecVersion.supported) func emptyDNSIsWrittenBeforeOneZeroOnly(_ version: SpecVersion) throws {
    var result = try Self.sample()
    result.dns = DNS()
    #expect(try result.json(version).object?["dns"] == (version < SpecVersion(1, 0, 0) ? [:] : nil))
  }

  @Test func allDNSSettingsAreWrittenAndRead() throws {
    let text = #"{"nameservers":["10.0.0.1","fd00::1"],"domain":"d","search":["a","b"],"options":["ndots:5"]}"#
    var result = try Self.sample()
    result.dns = try DNS(fields(text))
    #expect(result.dns.search == ["a", "b"])
    #expect(try result.json(.current).object?["dns"]?.text() == text)
    #expect(!result.dns.isEmpty)
    #expect(try DNS(fields(#"{"nameservers": null, "domain": "", "search": []}"#)).isEmpty)
  }

  /// A result has its own version; if it has none, it has its configuration's.
  @Test(arguments: [
    #"{"ip4": {"ip": "10.1.0.5/16"}, "cniVersion": "0.2.0"}"#, #"{"ips": [{"address": "10.1.0.5/16"}]}"#,
    #"{"ips": [{"address": "10.1.0.5/16"}], "cniVersion": ""}"#,
    #"{"ips": [{"address": "10.1.0.5/16"}], "cniVersion": null}"#,
    #"{"IPs": [{"Address": "10.1.0.5/16"}], "cniVersion": "0.4.0"}"#,
  ])
  func aResultIsReadInItsOwnVersion(_ text: String) throws {
    let result = try AttachmentResult(fields(text), version: SpecVersion(1, 0, 0))
    #expect(result.ips.map(\.address.description) == ["10.1.0.5/16"])
  }

  @Test(arguments: [
    (#"{"ips": [{}]}"#, "ips[0].address is missing"),
    (#"{"ips": [{"address": "10.1.0.5"}]}"#, "ips[0].address must be an address with a prefix length"),
    (#"{"ips": [{"address": "10.1.0.5/16", "interface": 1e30}]}"#, "ips[0].interface must be a whole number"),
    (#"{"ips": [{"address": "10.1.0.5/16", "gateway": "x"}]}"#, "ips[0].gateway must be an IP address, but is \"x\""),
    (#"{"routes": [{"gw": "10.1.0.1"}]}"#, "routes[0].dst is missing"),
    (#"{"routes": [{"dst": "10.1.0.0/16", "scope": 256}]}"#, "routes[0].scope must be a number from 0 to 255"),
    (#"{"routes": [{"dst": "10.1.0.0/16", "table": -1}]}"#, "routes[0].table must be a number from 0 to 4294967295"),
    (#"{"interfaces": ["eth0"]}"#, "interfaces[0] must be an object, but is \"eth0\""),
    (#"{"dns": []}"#, "dns must be an object, but is an array"),
    (#"{"dns": {"nameservers": [1]}}"#, "dns.nameservers[0] must be a string, but is 1"),
    (#"{"cniVersion": "0.1.0", "ip4": {"ip": 5}}"#, "ip4.ip must be a string, but is 5"),
  ])
  func errorsNameTheField(text: String, message: String) throws {
    let error = #expect(throws: JSONError.self) { try AttachmentResult(fields(text), version: .current) }
    #expect(error?.description.hasPrefix(message) == true, "\(String(describing: error))")
  }
}
