import Addresses
import Backends
import JSON
import Nodes
import Testing

@Suite struct NetConfTests {
  private func parse(_ text: String) throws -> NetConf {
    try NetConf(JSONFields(document: JSONValue(parsing: Array(text.utf8)), name: "net-conf.json"), BackendList.reader)
  }

  @Test func defaultsAreFlannels() throws {
    let conf = try parse(#"{"Network": "10.244.0.0/16"}"#)
    #expect(conf.networks.map(\.description) == ["10.244.0.0/16"])
    #expect(conf.backend is HostGateway)
  }

  @Test func keysAndBackendTypeMatchInAnyCase() throws {
    let conf = try parse(
      #"{"NETWORK": "10.244.0.0/16", "enableipv6": true, "ipv6network": "fd00:10::/48", "backend": {"type": "Host-GW"}}"#
    )
    #expect(conf.families == [.v4, .v6])
    #expect(conf.network(.v6)?.description == "fd00:10::/48")
  }

  @Test func everyBackendIsRead() throws {
    func backend(_ text: String) throws -> any ClusterBackend {
      try parse(#"{"Network": "10.244.0.0/16", "Backend": \#(text)}"#).backend
    }
    #expect(try backend(#"{"Type": "alloc"}"#) is Alloc)
    #expect(try backend(#"{"Type": "VXLAN"}"#) as? VXLANConf == VXLANConf())
    #expect(
      try backend(#"{"Type": "vxlan", "VNI": 0, "Port": 0, "MTU": 0}"#) as? VXLANConf == VXLANConf(vni: 1, port: 8472))
    #expect(
      try backend(
        #"{"Type": "vxlan", "vni": 7, "port": 4789, "mtu": 1400, "gbp": true, "learning": true, "Directrouting": true}"#
      ) as? VXLANConf
        == VXLANConf(
          vni: 7, port: 4789, mtuBytes: 1400, carriesGroupPolicy: true, learns: true, routesDirectly: true))
  }

  @Test func unknownKeysAndHostBitsAreIgnored() throws {
    let conf = try parse(#"{"Network": "10.244.3.7/16", "SubnetLen": 24, "EnableNFTables": true}"#)
    #expect(conf.networks.map(\.description) == ["10.244.0.0/16"])
  }

  @Test func largestVNIsFitTheDeviceName() throws {
    for (vni, usesIPv6, name) in [(9999, true, "flannel-v6.9999"), (9_999_999, false, "flannel.9999999")] {
      let conf = try parse(
        #"{"Network": "10.0.0.0/8", "EnableIPv6": \#(usesIPv6), "IPv6Network": "fd00::/48", "#
          + #""Backend": {"Type": "vxlan", "VNI": \#(vni)}}"#)
      guard let vxlan = conf.backend as? VXLANConf else {
        Issue.record("\(conf)")
        return
      }
      #expect(vxlan.deviceName(usesIPv6 ? .v6 : .v4) == name && name.utf8.count == 15)
    }
  }

  @Test func disabledFamilyNeedsNoNetwork() throws {
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
    (
      #"{"Network": "10.0.0.0/8", "Backend": {"Type": "wireguard"}}"#,
      #"Backend.Type is "wireguard", but must be "host-gw", "vxlan" or "alloc""#
    ),
    (
      #"{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "VNI": 10000000}}"#,
      "Backend.VNI is 10000000, but must be from 1 to 9999999, or 0 for the usual one: the name of its device, flannel.VNI"
    ),
    (
      #"{"Network": "10.0.0.0/8", "EnableIPv6": true, "IPv6Network": "fd00::/48", "Backend": {"Type": "vxlan", "VNI": 10000}}"#,
      "Backend.VNI is 10000, but must be from 1 to 9999, or 0 for the usual one: the name of its device, flannel-v6.VNI"
    ),
    (#"{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "Port": -1}}"#, "Backend.Port is -1"),
    (
      #"{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "MTU": 600}}"#,
      "Backend.MTU is 600, but must be from 626 to 65535"
    ),
    (
      #"{"Network": "10.0.0.0/8", "Backend": {"Type": "vxlan", "DirectRouting": "yes"}}"#,
      "Backend.DirectRouting must be true or false"
    ),
  ])
  func errorNamesTheInvalidKey(text: String, expected: String) throws {
    let error = try #require(throws: NetConfError.self) { try parse(text) }
    #expect("\(error)".hasPrefix(expected), "\(error)")
  }
}
