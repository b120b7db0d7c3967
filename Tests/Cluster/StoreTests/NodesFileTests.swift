import Addresses
import Backends
import FileStore
import JSON
import Nodes
import Testing

@Suite struct NodesFileTests {
  private let network = #"{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": "fd00:10::/48"}"#

  private func parse(_ nodes: String) throws(NodesFileError) -> NodeSnapshot {
    try NodesFile.parse(
      Array(#"{"network": \#(network), "nodes": [\#(nodes)]}"#.utf8), file: "nodes.json", BackendList.reader)
  }

  @Test func nodeWithBothFamiliesIsRead() throws {
    let snapshot = try parse(
      #"{"name": "a", "publicIP": "192.0.2.11", "publicIPv6": "fd00:2::11", "subnet": "10.244.1.0/24", "ipv6Subnet": "fd00:10:0:1::/64"}"#
    )
    let node = try #require(snapshot.nodes.first)
    #expect(snapshot.netConf.families == [.v4, .v6])
    #expect(node.name == "a")
    #expect(node.addresses.v4?.description == "192.0.2.11")
    #expect(node.addresses.v6?.description == "fd00:2::11")
    #expect(node.subnets.v4?.description == "10.244.1.0/24")
    #expect(node.subnets.v6?.description == "fd00:10:0:1::/64")
  }

  @Test func onlyTheNameOfANodeIsRequired() throws {
    #expect(try parse(#"{"name": "a", "subnet": null}"#).nodes == [Node(name: "a")])
    #expect(try parse("").nodes.isEmpty)
  }

  @Test(arguments: [
    (#"{}"#, "nodes[0].name is missing"),
    (#"{"name": ""}"#, #"nodes[0].name is "", but must be 1 to 253"#),
    (#"{"name": "a b"}"#, #"nodes[0].name is "a b""#),
    (#"{"name": "a/b"}"#, #"nodes[0].name is "a/b""#),
    (#"{"name": 7}"#, "nodes[0].name must be a string, but is 7"),
    (#"5"#, "nodes[0] must be an object, but is 5"),
    (#"{"name": "a"}, {"name": "b"}, {"name": "a"}"#, #"nodes[2].name is "a", but must be unique: nodes[0]"#),
    (#"{"name": "a", "publicIP": "192.0.2"}"#, #"nodes[0].publicIP is "192.0.2""#),
    (#"{"name": "a", "publicIP": "192.0.2.1/24"}"#, "without prefix length"),
    (#"{"name": "a", "publicIP": "fd00::1"}"#, "an IPv6 address belongs in publicIPv6"),
    (#"{"name": "a", "publicIPv6": "192.0.2.1"}"#, "an IPv4 address belongs in publicIP"),
    (#"{"name": "a", "publicIP": "127.0.0.1"}"#, "the node's own address"),
    (#"{"name": "a", "publicIP": "0.0.0.0"}"#, "the node's own address"),
    (#"{"name": "a", "publicIPv6": "fe80::1"}"#, "the node's own address"),
    (
      #"{"name": "a", "publicIP": "192.0.2.1"}, {"name": "b", "publicIP": "192.0.2.1"}"#,
      #"nodes[1].publicIP is "192.0.2.1", but must be unique: nodes[0] (a)"#
    ),
    (#"{"name": "a", "subnet": "10.244.1.0"}"#, "an IPv4 network with its prefix length"),
    (#"{"name": "a", "subnet": "10.244.1.0/99"}"#, "an IPv4 network with its prefix length"),
    (#"{"name": "a", "subnet": "10.244.1.1/24"}"#, #"a network without host bits: "10.244.1.0/24""#),
    (#"{"name": "a", "subnet": "10.245.1.0/24"}"#, "inside the cluster's network 10.244.0.0/16"),
    (#"{"name": "a", "subnet": "10.0.0.0/8"}"#, "inside the cluster's network 10.244.0.0/16"),
    (#"{"name": "a", "subnet": "10.244.1.0/31"}"#, "/30 or wider"),
    (#"{"name": "a", "subnet": "fd00:10::/64"}"#, "an IPv6 network belongs in ipv6Subnet"),
    (#"{"name": "a", "ipv6Subnet": "fd00:11::/64"}"#, "inside the cluster's network fd00:10::/48"),
  ])
  func errorNamesTheInvalidField(nodes: String, expected: String) throws {
    let error = try #require(throws: NodesFileError.self) { try parse(nodes) }
    #expect("\(error)".hasPrefix("nodes.json: ") && "\(error)".contains(expected), "\(error)")
  }

  @Test func errorOfAnOverlapNamesBothNodes() throws {
    let error = try #require(throws: NodesFileError.self) {
      try parse(
        #"{"name": "a", "subnet": "10.244.9.0/24"}, {"name": "b", "subnet": "10.244.8.0/22"}, {"name": "c", "subnet": "10.244.1.0/24"}"#
      )
    }
    #expect(
      "\(error)"
        == #"nodes.json: nodes[1].subnet is "10.244.8.0/22", but must be apart from every other subnet: it is of node b and overlaps 10.244.9.0/24 of node a (nodes[0])"#
    )
  }

  /// Any overlap among many subnets is found by comparing neighbours in order.
  @Test func everyOverlapIsFound() throws {
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<300 {
      let subnets = (0..<8).compactMap { _ in
        let length = Int.random(in: 16...30, using: &generator)
        return IPPrefix(IPAddress(v4: 0x0AF4_0000 | UInt32.random(in: 0...0xFFFF, using: &generator)), length: length)?
          .network
      }
      let nodes = subnets.enumerated().map { #"{"name": "n\#($0.offset)", "subnet": "\#($0.element)"}"# }
      let overlaps = subnets.indices.contains { i in subnets[..<i].contains { $0.overlaps(subnets[i]) } }
      let isRefused = (try? parse(nodes.joined(separator: ","))) == nil
      #expect(isRefused == overlaps, "\(subnets)")
    }
  }

  @Test(arguments: [
    ("", "nodes.json: "), ("[]", "the nodes file must be a JSON object"), ("{}", "network is missing"),
    (#"{"network": {"Network": "10.0.0.0/8"}}"#, "nodes is missing"),
    (#"{"network": {"Network": "10.0.0.0/8"}, "nodes": {}}"#, "nodes must be an array"),
    (#"{"network": {}, "nodes": []}"#, "network.Network is missing"),
    (#"{"network": {"Network": "10.0.0.0/8", "Backend": {"Type": "udp"}}, "nodes": []}"#, "network.Backend.Type"),
    (
      #"{"network": {"Network": "10.0.0.0/8"}, "nodes": [{"name": "a", "ipv6Subnet": "fd00::/64"}]}"#,
      "set network.EnableIPv6 to true"
    ),
  ])
  func errorNamesTheProblemOfTheDocument(text: String, expected: String) throws {
    let error = try #require(throws: NodesFileError.self) {
      try NodesFile.parse(Array(text.utf8), file: "nodes.json", BackendList.reader)
    }
    #expect("\(error)".contains(expected), "\(error)")
  }
}
