import JSON
import Testing
import TestSupport

extension VirtualMachineTests {
  /// VLANs of pods, and what ADD changes on a bridge and restores, on a kernel with VLAN filtering.
  @Suite struct VLANTests {
    /// A network on the common bridge and subnet. Its pods' addresses begin at `first`.
    private func network(_ runtime: HostRuntime<VirtualNode>, _ keys: JSONObject, from first: Int = 2) -> JSONObject {
      var configuration = runtime.configuration(keys, name: "net\(first)")
      configuration["ipam"] = [
        "ranges": [[["subnet": "10.9.0.0/24", "rangeStart": .string("10.9.0.\(first)"), "gateway": "10.9.0.1"]]]
      ]
      return configuration
    }

    // MARK: Traffic

    @Test func podsReachOnlyPodsOfTheirVLAN() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["a", "b", "other", "none"] { try node.addPod(pod) }
      // All pods share a subnet, so only VLANs separate them. The node is in VLAN 100 only.
      let hundred = network(runtime, ["vlan": 100])
      try runtime.add("a", hundred)
      try runtime.add("b", hundred)
      try runtime.add("other", network(runtime, ["vlan": 200, "isGateway": false], from: 20))
      try runtime.add("none", network(runtime, ["isGateway": false], from: 30))
      #expect(try node.ping(from: "a", "10.9.0.3") && node.ping(from: "b", "10.9.0.2"))
      #expect(try node.ping(from: "a", "10.9.0.1") && node.ping("10.9.0.2"))
      // Packets to another VLAN do not pass even if the MAC is known.
      let mac = try #require(node.ip(json: "link", "show", "dev", "eth0", inPod: "other").first?["address"]?.string)
      try node.sh("ip -netns a neighbour add 10.9.0.20 lladdr \(mac) dev eth0 nud permanent")
      // All at once, because each one waits two seconds.
      let heard = try node.sh(
        """
        for way in a:10.9.0.20 a:10.9.0.30 other:10.9.0.1 none:10.9.0.1; do
          ip netns exec ${way%:*} ping -nc 1 -W 2 ${way#*:} >/dev/null && echo $way &
        done
        wait
        """)
      #expect(heard == "")
    }

    @Test func aTrunkPassesTaggedFramesOfItsVLANsAndUntaggedOfItsOwn() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["trunk", "native", "tagged", "foreign"] { try node.addPod(pod) }
      let trunk = network(
        runtime, ["vlan": 100, "vlanTrunk": [["minID": 101, "maxID": 102]], "isGateway": false], from: 10)
      try runtime.add("trunk", trunk)
      for (pod, vlan) in [("native", 100), ("tagged", 102), ("foreign", 103)] as [(String, Int64)] {
        try runtime.add(pod, network(runtime, ["vlan": .integer(vlan), "isGateway": false], from: Int(vlan)))
      }
      for vlan in [102, 103] {
        try node.sh(
          """
          ip -netns trunk link add link eth0 name eth0.\(vlan) type vlan id \(vlan)
          ip -netns trunk link set eth0.\(vlan) up
          ip -netns trunk route add 10.9.0.\(vlan)/32 dev eth0.\(vlan) src 10.9.0.10
          """)
      }
      #expect(try node.ping(from: "trunk", "10.9.0.100"))
      #expect(try node.ping(from: "trunk", "10.9.0.102"))
      #expect(try !node.ping(from: "trunk", "10.9.0.103", within: 2))
    }

    // MARK: CHECK

    @Test func checkAcceptsWhatADDMade() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      for keys in [
        ["vlan": 100, "vlanTrunk": [["id": 7], ["minID": 99, "maxID": 101]]], ["vlanTrunk": [["id": 7]]],
        ["vlan": 100, "preserveDefaultVlan": true], ["vlanTrunk": []],
      ] as [JSONObject] {
        var configuration = runtime.configuration(keys)
        configuration["prevResult"] = try runtime.add("a", configuration).json.map { .object($0) }
        try runtime.call("CHECK", "a", configuration: configuration).process.succeeded()
        try runtime.delete("a", configuration)
        try node.sh("ip link delete cni0; ip link delete cni0.100 || true")
      }
    }

    @Test func checkFindsDifferences() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      var configuration = runtime.configuration(["vlan": 100])
      let answer = try runtime.add("a", configuration)
      configuration["prevResult"] = .object(try #require(answer.json))
      let port = try #require(answer.interfaces[1]["name"]?.string)
      let gatewayPort = try #require(node.ip(json: "link", "show", "dev", "cni0.100").first?["link"]?.string)
      var repaired = "true"
      for (fault, repair, message) in [
        (
          "bridge vlan add dev \(port) vid 7", "bridge vlan del dev \(port) vid 7",
          "\(port) is in the VLANs 7, 100 native untagged, not in 100 native untagged"
        ),
        (
          "bridge vlan del dev \(port) vid 100", "bridge vlan add dev \(port) vid 100 pvid untagged",
          "\(port) is in the VLANs none, not in"
        ),
        (
          "bridge vlan add dev \(port) vid 100", "bridge vlan add dev \(port) vid 100 pvid untagged",
          "\(port) is in the VLANs 100, not in"
        ),
        (
          "ip link set cni0 type bridge vlan_filtering 0", "ip link set cni0 type bridge vlan_filtering 1",
          "the bridge \"cni0\" filters VLANs no longer"
        ),
        (
          "bridge vlan add dev \(gatewayPort) vid 1", "bridge vlan del dev \(gatewayPort) vid 1",
          "\(gatewayPort) is in the VLANs 1, 100 native untagged, not in 100 native untagged"
        ),
        ("ip link set cni0.100 down", "ip link set cni0.100 up", "the gateway's link \"cni0.100\" is down"),
        (
          "ip address del 10.9.0.1/24 dev cni0.100", "ip address add 10.9.0.1/24 dev cni0.100",
          "\"cni0.100\" has lost the gateway's address 10.9.0.1"
        ),
        ("ip link delete cni0.100", "true", "the gateway's link \"cni0.100\" is gone"),
      ] {
        try node.sh("\(repaired); \(fault)")
        let check = try runtime.call("CHECK", "a", configuration: configuration)
        #expect(check.code == 100 && check.message.contains(message), "\(fault): \(check)")
        repaired = repair
      }
    }

    // MARK: Existing bridges

    private func filters(_ node: any TestHost, _ bridge: String = "cni0") throws -> Bool {
      let link = try #require(node.ip(json: "link", "show", "dev", bridge).first)
      return link["linkinfo"]?.object?["info_data"]?.object?["vlan_filtering"] == 1
    }

    @Test func podsStayConnectedWhenTheirBridgeBeginsToFilter() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["a", "b", "c"] { try node.addPod(pod) }
      try runtime.add("a")
      try runtime.add("b")
      #expect(try !filters(node))
      try runtime.add(
        "c", runtime.configuration(["vlan": 100, "ipam": ["ranges": [[["subnet": "10.8.0.0/24"]]]]], name: "n"))
      #expect(try filters(node))
      #expect(try node.ping(from: "a", "10.9.0.3") && node.ping(from: "a", "fd00:9::1"))
      #expect(try node.ping(from: "c", "10.8.0.1"))
    }

    @Test(arguments: [
      ("ip link add tap0 type dummy && ip link set tap0 master cni0", "its port tap0 may carry tagged frames"),
      ("ip link add link cni0 name uplink.7 type vlan id 7", "uplink.7 on it sends tagged frames"),
      (
        "ip link add p type veth peer name q && ip link set p master cni0 && bridge vlan add dev p vid 7 pvid untagged",
        "its ports are not all in one VLAN"
      ),
    ])
    func aBridgeIsNotChangedIfFilteringCouldDisconnectAPort(_ preparation: String, _ reason: String) throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      try node.sh("ip link add name cni0 type bridge && ip link set cni0 up && \(preparation)")
      let answer = try runtime.call("ADD", "a", configuration: runtime.configuration(["vlan": 100]))
      #expect(answer.code == 7, "\(answer)")
      #expect(answer.message.contains("\"cni0\" does not filter VLANs, as vlan = 100 needs it to"), "\(answer)")
      #expect(answer.message.contains(reason) && answer.message.contains("vlan_filtering 1"), "\(answer)")
      #expect(try !filters(node) && node.remains() == [])
      // An administrator may switch filtering on, and ADD succeeds.
      try node.sh("ip link set cni0 type bridge vlan_filtering 1")
      try runtime.add("a", runtime.configuration(["vlan": 100]))
    }

    @Test func anotherDefaultVLANIsRemovedToo() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      try node.sh("ip link add name cni0 type bridge vlan_filtering 1 vlan_default_pvid 5 && ip link set cni0 up")
      let answer = try runtime.add("a", runtime.configuration(["vlanTrunk": [["id": 7]], "ipam": ["type": "none"]]))
      let port = try #require(answer.interfaces[1]["name"]?.string)
      #expect(try node.vlans(of: port) == ["1 native untagged", "7"])
    }

    // MARK: The gateway's link

    @Test func manyFirstADDsShareOneGateway() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      let configuration = try JSONValue.object(runtime.configuration(["vlan": 100])).text()
      try node.sh(
        """
        for i in 1 2 3 4 5 6 7 8; do ip netns add p$i; done
        for i in 1 2 3 4 5 6 7 8; do
          echo '\(configuration)' | CNI_COMMAND=ADD CNI_CONTAINERID=p$i CNI_NETNS=/run/netns/p$i CNI_IFNAME=eth0 \
            CNI_PATH=/x \(runtime.plugin) >/run/answer$i || touch /run/failed &
        done
        wait
        test ! -e /run/failed || { cat /run/answer*; exit 1; }
        """)
      // Eight ports of pods and the gateway's.
      #expect(try node.ip(json: "link", "show", "master", "cni0").count == 9)
      #expect(try node.addresses("cni0.100") == ["10.9.0.1/24", "fd00:9::1/64"])
      try node.sh("for i in 1 2 3 4 5 6 7 8; do ip netns exec p$i ping -nc 1 -W 2 10.9.0.1; done")
    }

    /// Completes the parts of a gateway that a killed ADD has left.
    @Test func aPartialGatewayIsCompleted() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      try node.sh("ip link add cni0.100 type veth peer name half")
      let answer = try runtime.add("a", runtime.configuration(["vlan": 100]))
      #expect(answer.interfaces.last?["name"]?.string == "cni0.100")
      #expect(try node.vlans(of: "half") == ["100 native untagged"])
      #expect(try node.ping(from: "a", "10.9.0.1"))
    }

    /// Removes the gateway's port from the default VLAN, in which older releases of the reference leave it.
    @Test func aGatewaysPortLeavesOtherVLANs() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      try node.sh(
        """
        ip link add cni0 type bridge vlan_filtering 1 && ip link set cni0 up
        ip link add cni0.100 type veth peer name theirs && ip link set theirs master cni0
        bridge vlan add dev theirs vid 100 pvid untagged && ip link set theirs up && ip link set cni0.100 up
        """)
      var configuration = runtime.configuration(["vlan": 100])
      let answer = try runtime.add("a", configuration)
      #expect(try node.vlans(of: "theirs") == ["100 native untagged"])
      configuration["prevResult"] = .object(try #require(answer.json))
      try runtime.call("CHECK", "a", configuration: configuration).process.succeeded()
    }

    @Test func aForeignLinkWithTheGatewaysNameIsNotUsed() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      try node.sh("ip link add cni0.100 type dummy")
      let answer = try runtime.call("ADD", "a", configuration: runtime.configuration(["vlan": 100]))
      #expect(answer.code == 7, "\(answer)")
      #expect(answer.message.contains("\"cni0.100\" already exists but is not the gateway of vlan = 100"), "\(answer)")
      #expect(try node.remains() == [])
      #expect(try node.run(["ip", "link", "show", "cni0"]).status != 0)
    }

    @Test func theGatewaysMTUFollowsThePods() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["a", "b"] { try node.addPod(pod) }
      try runtime.add("a", runtime.configuration(["vlan": 100]))
      let answer = try runtime.add("b", runtime.configuration(["vlan": 100, "mtu": 1400]))
      #expect(answer.interfaces.map { $0["mtu"] } == [1400, 1400, 1400, 1400])
    }

    // MARK: Failed ADDs and former leases

    private func failing(_ runtime: HostRuntime<VirtualNode>, _ keys: JSONObject) -> JSONObject {
      // The pod cannot reach this gateway from any of its addresses, so the kernel refuses the last step.
      var configuration = runtime.configuration(keys)
      configuration["ipam"] = [
        "ranges": runtime.ranges(.dual), "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.1"]],
      ]
      return configuration
    }

    @Test func aFailedADDIsRolledBack() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      try node.addPod("a")
      let answer = try runtime.call("ADD", "a", configuration: failing(runtime, ["vlan": 100]))
      #expect(answer.message.contains("10.50.0.0/16"), "\(answer)")
      #expect(try node.ip(json: "link", "show").map { $0["ifname"]?.string } == ["lo"])
      #expect(try node.remains() == [])
    }

    @Test func aFailedADDRestoresABridge() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["a", "b"] { try node.addPod(pod) }
      try runtime.add("a", runtime.configuration(["ipam": ["ranges": [[["subnet": "10.8.0.0/24"]]]]], name: "other"))
      let before = try node.ip(json: "link", "show").count
      #expect(try runtime.call("ADD", "b", configuration: failing(runtime, ["vlan": 100])).process.status == 1)
      #expect(try !filters(node))
      #expect(try node.ip(json: "link", "show").count == before)
      #expect(try node.ping(from: "a", "10.8.0.1"))
    }

    @Test func aFailedADDKeepsABridgeThatAnotherPodUses() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["a", "b"] { try node.addPod(pod) }
      try runtime.add("a", runtime.configuration(["vlan": 100]))
      #expect(try runtime.call("ADD", "b", configuration: failing(runtime, ["vlan": 100])).process.status == 1)
      #expect(try filters(node))
      #expect(try node.ping(from: "a", "10.9.0.1") && node.ping(from: "a", "fd00:9::1"))
    }

    @Test func theGatewayOfAFormerLeaseIsRemovedWithItsLastPod() throws {
      let node = try VirtualNode()
      let runtime = HostRuntime(node: node)
      for pod in ["a", "b"] { try node.addPod(pod) }
      func lease(_ third: Int) throws {
        try node.sh(
          """
          mkdir -p /run/causeway
          printf '%s\\n' FLANNEL_NETWORK=10.244.0.0/16 FLANNEL_SUBNET=10.244.\(third).1/24 FLANNEL_MTU=1400 \
            FLANNEL_IPMASQ=true >/run/causeway/subnet.env
          """)
      }
      let configuration = runtime.configuration(["vlan": 100, "ipam": [:]])
      try lease(1)
      try runtime.add("a", configuration)
      try lease(2)
      try runtime.add("b", configuration)
      #expect(try node.addresses("cni0.100") == ["10.244.1.1/24", "10.244.2.1/24"])
      try runtime.delete("a", configuration)
      #expect(try node.addresses("cni0.100") == ["10.244.2.1/24"])
      #expect(try node.ping(from: "b", "10.244.2.1"))
    }
  }
}

extension TestHost {
  /// The VLANs of a bridge's port, such as "200-210" or "100 native untagged".
  fileprivate func vlans(of port: String) throws -> [String] {
    let text = try sh("bridge -json -compressvlans vlan show dev \(port)")
    let entries = try JSONValue(parsing: Array(text.utf8)).array?.first?.object?["vlans"]?.array ?? []
    return entries.compactMap(\.object).compactMap(VLANLife.text)
  }
}
