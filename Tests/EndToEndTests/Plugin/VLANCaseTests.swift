import JSON
import Testing
import TestSupport

extension VirtualMachineTests {
  /// The reference's cases with VLANs, each with every version of the protocol, on a kernel with VLAN filtering.
  @Suite struct VLANCaseTests {
    @Test(arguments: VLANCase.all) func aPodIsAddedAndDeleted(_ one: VLANCase) throws {
      let configurations = one.versions.map { version in
        // Each network has its own leases, so that each pod gets the first addresses.
        var configuration: JSONObject = [
          "cniVersion": .string(version), "name": .string("podnet-\(version)"), "type": "causeway",
          "ipam": ["type": "none"],
        ]
        for member in one.keys.members { configuration[member.name] = member.value }
        return configuration
      }
      for (version, life) in zip(one.versions, try VLANLife.all(configurations)) { try expect(one, version, life) }
    }

    private func expect(_ one: VLANCase, _ version: String, _ life: VLANLife) throws {
      // Only lo existed before.
      guard version >= "0.3.0" || one.fitsFirstVersions else {
        let words = one.isLayer2 ? "cannot convert: no valid IP addresses" : "more than 1 address per family"
        #expect(life.answer["msg"]?.string?.contains(words) == true, "\(life.answer)")
        #expect(life.links.count == 1 && life.linksAfter.count == 1)
        return
      }
      try #require(life.answer["cniVersion"]?.string == version, "\(life.answer)")
      try expectLinks(one, life)
      try expectAddresses(one, life)
      if version >= "0.3.0" { try expectAnswer(one, version, life) }

      // Both ends of the pod's veth pair are removed. The bridge and the gateway's link stay, as others may use them.
      #expect(life.deleteOutput == "")
      #expect(names(life.linksAfter) == names(life.links).filter { !$0.hasPrefix("veth") })
    }

    private func expectLinks(_ one: VLANCase, _ life: VLANLife) throws {
      #expect(life.links.count == (one.isLayer2 ? 3 : 5), "\(names(life.links))")
      let bridge = try link("cni0", life)
      #expect(bridge["linkinfo"]?.object?["info_kind"]?.string == "bridge")
      #expect(bridge["linkinfo"]?.object?["info_data"]?.object?["vlan_filtering"] == (one.filters ? 1 : 0))
      #expect(bridge["promiscuity"] == 0)
      let port = try #require(names(life.links).first { $0.hasPrefix("veth") })
      #expect(vlans(of: port, life) == one.port)
      #expect(vlans(of: "cni0", life) == ["1 native untagged"])
      #expect(life.podLinks.first { $0["ifname"] == "eth0" }?["operstate"]?.string == "UP")
      guard !one.isLayer2 else { return }
      // The gateway's port is created just before the end that has its addresses.
      let gateway = try link("cni0.100", life)
      let gatewayPort = try link(#require(gateway["link"]?.string), life)
      guard case .integer(let index) = gateway["ifindex"] else { throw Missing(what: "ifindex of \(gateway)") }
      #expect(gatewayPort["ifindex"] == .integer(index - 1))
      #expect(gatewayPort["master"]?.string == "cni0")
      #expect(try vlans(of: #require(gatewayPort["ifname"]?.string), life) == ["100 native untagged"])
      #expect(gateway["operstate"]?.string == "UP" && gatewayPort["operstate"]?.string == "UP")
    }

    private func expectAddresses(_ one: VLANCase, _ life: VLANLife) throws {
      #expect(globalAddresses("eth0", life.podLinks) == one.addresses)
      #expect(globalAddresses("cni0", life.addresses) == [])
      #expect(globalAddresses("cni0.100", life.addresses) == one.gateways)
      let families = Set(one.gateways.map { $0.contains(":") })
      #expect(life.podRoutes.count == families.count)
      for route in life.podRoutes {
        let gateway = try #require(route["gateway"]?.string)
        #expect(one.gateways.contains { $0.hasPrefix(gateway + "/") } && route["prefsrc"] == nil)
      }
    }

    /// Checks that the result reports the kernel's state.
    private func expectAnswer(_ one: VLANCase, _ version: String, _ life: VLANLife) throws {
      let interfaces = life.answer["interfaces"]?.array?.compactMap(\.object) ?? []
      let port = try #require(names(life.links).first { $0.hasPrefix("veth") })
      #expect(names(interfaces, key: "name") == ["cni0", port, "eth0"] + (one.isLayer2 ? [] : ["cni0.100"]))
      #expect(interfaces.map { $0["sandbox"] } == [nil, nil, "/run/netns/a", nil].prefix(interfaces.count).map(\.self))
      let present = life.links + life.podLinks
      for interface in interfaces {
        let link = try #require(present.first { $0["ifname"] == interface["name"] })
        #expect(interface["mac"] == link["address"] && interface["mac"]?.string?.count == 17)
      }
      #expect(Set(interfaces.compactMap { $0["mac"]?.string }).count == interfaces.count)
      let ips = life.answer["ips"]?.array?.compactMap(\.object) ?? []
      #expect(ips.compactMap { $0["address"]?.string } == one.addresses)
      #expect(ips.allSatisfy { $0["interface"] == 2 })
    }

    private struct Missing: Error { let what: String }

    private func link(_ name: String, _ life: VLANLife) throws -> JSONObject {
      try #require(life.links.first { $0["ifname"]?.string == name }, "no \(name) among \(names(life.links))")
    }

    private func names(_ objects: [JSONObject], key: String = "ifname") -> [String] {
      objects.compactMap { $0[key]?.string }
    }

    /// The global addresses of a link, sorted, because the kernel lists the newest IPv6 address first.
    private func globalAddresses(_ name: String, _ links: [JSONObject]) -> [String] {
      let infos = links.filter { $0["ifname"]?.string == name }.flatMap { $0["addr_info"]?.array ?? [] }
      return infos.compactMap(\.object).filter { $0["scope"]?.string == "global" }.compactMap { info in
        guard let local = info["local"]?.string, case .integer(let length) = info["prefixlen"] else { return nil }
        return "\(local)/\(length)"
      }.sorted()
    }

    private func vlans(of port: String, _ life: VLANLife) -> [String] {
      let entries = life.vlans.first { $0["ifname"]?.string == port }?["vlans"]?.array ?? []
      return entries.compactMap(\.object).compactMap(VLANLife.text)
    }
  }
}
