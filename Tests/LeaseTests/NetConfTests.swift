import Addresses
import JSON
import Lease
import Testing

@Suite struct NetConfTests {
  private func parse(_ text: String) throws -> NetConf {
    try NetConf(JSONFields(document: JSONValue(parsing: Array(text.utf8)), name: "net-conf.json"))
  }

  @Test func flannelsDefaults() throws {
    let conf = try parse(#"{"Network": "10.244.0.0/16"}"#)
    #expect(conf.networks.map(\.description) == ["10.244.0.0/16"])
    #expect(conf.backend == .hostGateway)
  }

  @Test func keysAndBackendTypeMatchInAnyCase() throws {
    let conf = try parse(
      #"{"NETWORK": "10.244.0.0/16", "enableipv6": true, "ipv6network": "fd00:10::/48", "backend": {"type": "Host-GW"}}"#
    )
    #expect(conf.families == [.v4, .v6])
    #expect(conf.network(.v6)?.description == "fd00:10::/48")
  }

  @Test func unknownKeysAndHostBitsArePassedOver() throws {
    let conf = try parse(#"{"Network": "10.244.3.7/16", "SubnetLen": 24, "EnableNFTables": true}"#)
    #expect(conf.networks.map(\.description) == ["10.244.0.0/16"])
  }

  @Test func aFamilyThatIsOffNeedsNoNetwork() throws {
    let conf = try parse(#"{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00::/48", "Network": "x"}"#)
    #expect(conf.families == [.v6])
  }

  @Test(arguments: [
    (#"{}"#, "Network is missing"),
    (#"{"Network": ""}"#, "Network is missing"),
    (#"{"Network": "10.244.0.0"}"#, #"Network is "10.244.0.0", but must be an IPv4 network"#),
    (#"{"Network": "fd00::/48"}"#, #"Network is "fd00::/48", but must be an IPv4 network"#),
    (#"{"Network": 5}"#, "Network must be a string, but is 5"),
    (#"{"EnableIPv4": "yes"}"#, #"EnableIPv4 must be true or false, but is "yes""#),
    (#"{"EnableIPv4": false}"#, "EnableIPv4 is false, but must be true where EnableIPv6 is not"),
    (#"{"Network": "10.0.0.0/8", "EnableIPv6": true}"#, "IPv6Network is missing"),
    (#"{"Network": "10.0.0.0/8", "Backend": {}}"#, "Backend.Type is missing"),
    (#"{"Network": "10.0.0.0/8", "Backend": "host-gw"}"#, "Backend must be an object"),
    (#"{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan"}}"#, #"Backend.Type is "vxlan", but must be "host-gw""#),
  ])
  func whatIsWrongIsNamed(text: String, expected: String) throws {
    let error = try #require(throws: NetConfError.self) { try parse(text) }
    #expect("\(error)".hasPrefix(expected), "\(error)")
  }
}
