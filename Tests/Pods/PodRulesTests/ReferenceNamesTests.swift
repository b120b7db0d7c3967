import Addresses
import Testing

@testable import PodRules

/// Names of the reference plugins' rules. Expected values are from those plugins and their own tests.
@Suite struct ReferenceNamesTests {
  @Test(arguments: [
    ("test", "1234", "CNI-2bbe0c48b91a7d1b8a6753a8"),
    ("testalongnamethatdoesnotmakesense", "1234", "CNI-374f33fe84ab0ed84dcdebe3"),
    // Names that plugins 1.1.1 made.
    ("podnet", "id-pod", "CNI-fccbba35ddbf6c281ccdc26b"), ("podnet", "id-pod2", "CNI-443a445c0176fae90332a068"),
  ])
  func chainNamesAreThoseOfTheReference(_ network: String, _ id: String, _ chain: String) {
    #expect(ReferenceNames.chain(network: network, containerID: id) == chain)
    #expect(ReferenceNames(network: network, containerID: id, interfaceName: "eth0").chain == chain)
  }

  @Test(arguments: [
    ("unit-test", "eth0", "one", "6fd94d501e58f0aa-287fc69eff0574a2"),
    ("unit-test", "eth0", "two", "6fd94d501e58f0aa-d750b2c8f0f25d5f"),
    ("alternate", "net1", "three", "82783ef24bdc7036-acb19d111858e348"),
  ])
  func marksAreThoseOfTheReference(_ network: String, _ interface: String, _ id: String, _ mark: String) {
    let names = ReferenceNames(network: network, containerID: id, interfaceName: interface)
    #expect(names.mark == mark)
    #expect(mark.hasPrefix(ReferenceNames.mark(network: network)))
  }

  @Test func guardChainNameIsThatOfTheReference() {
    let names = ReferenceNames(network: "podnet", containerID: "id-pod", interfaceName: "eth0")
    #expect(names.guardChain == "cni-br-iface-id-pod-eth0")
  }

  @Test(
    arguments: [
      (#"name: "podnet" id: "a.b_c-1""#, "a.b_c-1"), (#"name: "podnet" id: """#, nil),
      (#"name: "podnet2" id: "a""#, nil), (#"name: "podnet" id: "a"#, nil), (#"name: "podnet" id: ""#, nil),
      (#"dnat name: "podnet" id: "a""#, nil), ("", nil),
    ] as [(String, String?)])
  func containerIDIsReadFromIptablesComments(_ comment: String, _ id: String?) {
    #expect(ReferenceNames.containerID(inComment: comment, of: "podnet") == id)
  }

  // MARK: Lists of the older tables

  @Test func jumpRuleIsRead() throws {
    let line =
      #"-A POSTROUTING -s 10.9.0.2/32 -m comment --comment "name: \"podnet\" id: \"a\"" -j CNI-fccbba35ddbf6c281ccdc26b"#
    let jump = try #require(LegacyJump(line: line))
    #expect(jump.rule == String(line.dropFirst(3)))
    #expect(jump.source?.description == "10.9.0.2")
    #expect(jump.comment == #"name: "podnet" id: "a""#)
    #expect(jump.chain == "CNI-fccbba35ddbf6c281ccdc26b")
  }

  @Test func jumpRuleForANetworkHasNoSourceAddress() throws {
    let line = #"-A POSTROUTING -s fd00:9::/64 -m comment --comment "name: \"n\" id: \"a\"" -j CNI-0"#
    #expect(try #require(LegacyJump(line: line)).source == nil)
    #expect(LegacyJump(line: line.replacing("/64", with: "/128"))?.source?.description == "fd00:9::")
  }

  @Test(arguments: [
    "-P POSTROUTING ACCEPT", "-N CNI-fccbba35ddbf6c281ccdc26b", "", "-A POSTROUTING -s 10.9.0.3/32 -j ACCEPT",
    "-A POSTROUTING -m comment --comment \"-j CNI-x\" -j MASQUERADE", "-A POSTROUTING -j", "-A POSTROUTING -j CNI-x",
    #"-A PREROUTING -m comment --comment "name: \"n\" id: \"a\"" -j CNI-0"#,
    "# Warning: iptables-legacy tables present, use iptables-legacy to see them",
  ])
  func otherLinesAreIgnored(_ line: String) {
    #expect(LegacyJump(line: line) == nil)
  }
}
