import Addresses
import CNI
import JSON
@testable import PodNetwork
import Testing

@Suite struct PodRouteTests {
  private func routes(
    _ routes: JSONValue, _ keys: JSONObject = [:], families: [IPFamily] = [.v4, .v6], hasGateways: Bool = true,
    as type: PluginType = .causeway
  ) throws -> [String] {
    var keys = keys
    keys["ipam"] = ["routes": routes]
    let configuration = try configuration(keys, as: type)
    let lease = try lease("10.244.1.1/24")
    let ips = try families.map { family in
      AttachmentResult.IP(
        address: try #require(IPPrefix(family == .v4 ? "10.1.0.5/24" : "fd00::5/64")),
        gateway: hasGateways ? IPAddress(family == .v4 ? "10.1.0.1" : "fd00::1") : nil)
    }
    let addresses = PodAddresses(ips: ips, routes: configuration.addressing?.routes ?? [])
    return configuration.routes.routes(
      for: addresses, clusterNetworks: try AddressPlan(configuration, lease).clusterNetworks
    ).map { route in
      "\(route.destination)" + (route.gateway.map { " via \($0)" } ?? "")
    }
  }

  @Test func podGetsADefaultRouteOfEachFamily() throws {
    #expect(try routes([]) == ["0.0.0.0/0 via 10.1.0.1", "::/0 via fd00::1"])
    #expect(try routes([], families: [.v6]) == ["::/0 via fd00::1"])
    #expect(try routes([], families: []) == [])
  }

  @Test func configuredDefaultRouteIsNotRepeated() throws {
    #expect(try routes([["dst": "0.0.0.0/0"]]) == ["0.0.0.0/0 via 10.1.0.1", "::/0 via fd00::1"])
    #expect(try routes([["dst": "0.0.0.0/0", "gw": "10.1.0.9"]], families: [.v4]) == ["0.0.0.0/0 via 10.1.0.9"])
    #expect(try routes([["dst": "::/0", "gw": "fd00::9"]]) == ["::/0 via fd00::9", "0.0.0.0/0 via 10.1.0.1"])
  }

  @Test func noDefaultRouteWithoutDefaultGateway() throws {
    #expect(try routes([], ["isDefaultGateway": false]) == [])
    #expect(try routes([["dst": "10.8.0.0/16"]], ["isGateway": false]) == ["10.8.0.0/16 via 10.1.0.1"])
  }

  @Test func routeWithoutGatewayOrScopeGetsTheGatewayOfItsFamily() throws {
    let given: JSONValue = [
      ["dst": "10.8.0.0/16"], ["dst": "10.9.0.0/16", "scope": 253], ["dst": "fd01::/48"],
      ["dst": "10.7.0.0/16", "gw": "10.1.0.7"],
    ]
    #expect(
      try routes(given, ["isDefaultGateway": false]) == [
        "10.8.0.0/16 via 10.1.0.1", "10.9.0.0/16", "fd01::/48 via fd00::1", "10.7.0.0/16 via 10.1.0.7",
      ])
    #expect(try routes([["dst": "fd01::/48"]], ["isDefaultGateway": false], families: [.v4]) == ["fd01::/48"])
  }

  /// A delegated IPAM plugin may return no gateways.
  @Test func noDefaultRouteWithoutGateway() throws {
    #expect(try routes([["dst": "10.8.0.0/16"]], hasGateways: false) == ["10.8.0.0/16"])
  }

  @Test func podsOfFlannelGetADefaultRouteOnlyIfConfigured() throws {
    #expect(try routes([], ["ranges": []], families: [.v4], as: .flannel) == ["10.244.0.0/16 via 10.1.0.1"])
    #expect(
      try routes([], ["delegate": ["isDefaultGateway": true]], families: [.v4], as: .flannel) == [
        "10.244.0.0/16 via 10.1.0.1", "0.0.0.0/0 via 10.1.0.1",
      ])
  }
}
