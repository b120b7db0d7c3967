import Addresses
import Backends
import JSON
import Nodes
import Testing

/// Which subnets nodes may claim, by flannel's rules for etcd.
@Suite struct SubnetAllocationTests {
  private func parse(_ text: String) throws -> SubnetAllocation {
    let fields = try JSONFields(document: JSONValue(parsing: Array(text.utf8)), name: "config")
    return try SubnetAllocation(fields, NetConf(fields, BackendList.reader))
  }

  struct Range: Sendable {
    let text: String
    let first: String
    let last: String
    let count: Int
  }

  @Test(arguments: [
    Range(text: #"{"Network": "10.244.0.0/16"}"#, first: "10.244.1.0/24", last: "10.244.255.0/24", count: 255),
    Range(text: #"{"Network": "10.244.0.0/22"}"#, first: "10.244.1.0/24", last: "10.244.3.0/24", count: 3),
    Range(text: #"{"Network": "10.244.0.0/23"}"#, first: "10.244.0.128/25", last: "10.244.1.128/25", count: 3),
    Range(text: #"{"Network": "10.244.0.0/28"}"#, first: "10.244.0.4/30", last: "10.244.0.12/30", count: 3),
    Range(
      text: #"{"Network": "10.0.0.0/8", "SubnetLen": 20, "SubnetMin": "10.10.0.0", "SubnetMax": "10.99.0.0"}"#,
      first: "10.10.0.0/20", last: "10.99.0.0/20", count: 1425),
    Range(
      text: #"{"network": "10.0.0.0/8", "subnetlen": 0, "SUBNETMIN": "", "subnetmax": "10.0.1.0"}"#,
      first: "10.0.1.0/24", last: "10.0.1.0/24", count: 1),
    Range(
      text: #"{"Network": "10.0.0.0/16", "SubnetLen": 30}"#, first: "10.0.0.4/30", last: "10.0.255.252/30", count: 16383
    ),
  ])
  func rangeOfIPv4Subnets(_ range: Range) throws {
    let found = try parse(range.text).ipv4
    #expect("\(found.first)" == range.first && "\(found.last)" == range.last && found.count == range.count)
  }

  @Test(arguments: [
    Range(text: #""fd00:10::/48""#, first: "fd00:10:0:1::/64", last: "fd00:10:0:ffff::/64", count: 65535),
    Range(text: #""fd00:10::/63""#, first: "fd00:10:0:0:8000::/65", last: "fd00:10:0:1:8000::/65", count: 3),
    Range(text: #""fd00:10::/124""#, first: "fd00:10::4/126", last: "fd00:10::c/126", count: 3),
    Range(
      text: #""fd00::/32", "IPv6SubnetLen": 56, "IPv6SubnetMin": "fd00:0:1::", "IPv6SubnetMax": "fd00:0:1:200::""#,
      first: "fd00:0:1::/56", last: "fd00:0:1:200::/56", count: 3),
    Range(text: #""fd00::/8""#, first: "fd00:0:0:1::/64", last: "fdff:ffff:ffff:ffff::/64", count: (1 << 56) - 1),
  ])
  func rangeOfIPv6Subnets(_ range: Range) throws {
    let text = #"{"Network": "10.244.0.0/16", "EnableIPv6": true, "IPv6Network": \#(range.text)}"#
    let found = try #require(try parse(text).ipv6)
    #expect("\(found.first)" == range.first && "\(found.last)" == range.last && found.count == range.count)
  }

  @Test(arguments: [
    (#"{"Network": "10.244.0.0/16", "SubnetLen": 31}"#, "SubnetLen is 31, but must be from 18 to 30"),
    (#"{"Network": "10.244.0.0/16", "SubnetLen": 17}"#, "SubnetLen is 17, but must be from 18 to 30"),
    (#"{"Network": "10.244.0.0/16", "SubnetLen": -1}"#, "SubnetLen is -1, but must be from 18 to 30"),
    (#"{"Network": "10.244.0.0/16", "SubnetLen": "24"}"#, #"SubnetLen must be a whole number, but is "24""#),
    (#"{"Network": "10.244.0.0/29"}"#, #"Network is "10.244.0.0/29", but must be /28 or wider"#),
    (
      #"{"Network": "10.244.0.0/16", "SubnetMin": "10.245.0.0"}"#,
      #"SubnetMin is "10.245.0.0", but must be an address inside"#
    ),
    (
      #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.1.0/24"}"#,
      "SubnetMin is \"10.244.1.0/24\", but must be an address"
    ),
    (
      #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.1.8"}"#,
      #"SubnetMin is "10.244.1.8", but must be the first address of a /24: "10.244.1.0""#
    ),
    (#"{"Network": "10.244.0.0/16", "SubnetMax": "10.243.255.0"}"#, "SubnetMax is \"10.243.255.0\""),
    (
      #"{"Network": "10.244.0.0/16", "SubnetMin": "10.244.9.0", "SubnetMax": "10.244.8.0"}"#,
      "SubnetMin is \"10.244.9.0\", but must be not behind"
    ),
    (
      #"{"EnableIPv4": false, "EnableIPv6": true, "IPv6Network": "fd00::/48"}"#, "EnableIPv4 is false, but must be true"
    ),
    (
      #"{"Network": "10.0.0.0/8", "EnableIPv6": true, "IPv6Network": "fd00::/48", "IPv6SubnetLen": 127}"#,
      "IPv6SubnetLen is 127, but must be from 50 to 126"
    ),
    (
      #"{"Network": "10.0.0.0/8", "EnableIPv6": true, "IPv6Network": "fd00::/48", "IPv6SubnetLen": 49}"#,
      "IPv6SubnetLen is 49"
    ),
    (
      #"{"Network": "10.0.0.0/8", "EnableIPv6": true, "IPv6Network": "fd00::/125"}"#,
      #"IPv6Network is "fd00::/125", but must be /124 or wider"#
    ),
    (
      #"{"Network": "10.0.0.0/8", "EnableIPv6": true, "IPv6Network": "fd00::/48", "IPv6SubnetMin": "10.0.1.0"}"#,
      "IPv6SubnetMin is"
    ),
  ])
  func errorNamesTheInvalidKey(text: String, expected: String) throws {
    let error = try #require(throws: NetConfError.self) { try parse(text) }
    #expect("\(error)".hasPrefix(expected), "\(error)")
  }

  @Test func positionsAndSubnetsAreInverse() throws {
    let range = try parse(#"{"Network": "10.244.0.0/16", "SubnetLen": 22, "SubnetMin": "10.244.8.0"}"#).ipv4
    for position in [0, 1, 30, range.count - 1] {
      let subnet = try #require(range.subnet(position))
      #expect(range.contains(subnet) && range.position(subnet) == position)
      #expect(range.positions(overlapping: subnet) == position...position)
    }
    #expect(range.subnet(range.count) == nil && range.subnet(-1) == nil)
    for other in ["10.244.4.0/22", "10.244.8.0/23", "10.244.9.0/22", "10.245.0.0/22", "fd00::/22"] {
      let prefix = try #require(IPPrefix(other))
      #expect(range.position(prefix) == nil, "\(other)")
    }
  }

  @Test(arguments: [
    ("10.244.0.0/16", 0...61), ("10.244.0.0/20", 0...1), ("10.244.13.0/24", 1...1), ("0.0.0.0/0", 0...61),
  ])
  func widerNetworkOverlapsSeveralPositions(network: String, expected: ClosedRange<Int>) throws {
    let range = try parse(#"{"Network": "10.244.0.0/16", "SubnetLen": 22, "SubnetMin": "10.244.8.0"}"#).ipv4
    #expect(range.positions(overlapping: try #require(IPPrefix(network))) == expected)
    #expect(range.positions(overlapping: try #require(IPPrefix("10.244.0.0/21"))) == nil)
  }
}
