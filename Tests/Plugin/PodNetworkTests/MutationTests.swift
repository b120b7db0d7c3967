import Addresses
import CNI
import IPAM
import JSON
@testable import PodNetwork
import Testing
import TestSupport

/// A mutated configuration is accepted or refused. A trap would end this process.
@Suite(.timeLimit(.minutes(1)))
struct MutationTests {
  private static let good = #"""
    {"cniVersion": "1.1.0", "name": "net", "type": "causeway", "bridge": "br0", "isGateway": true, "mtu": 1500,
     "isDefaultGateway": true, "hairpinMode": false, "promiscMode": false, "vlan": 7,
     "vlanTrunk": [{"id": 9}, {"minID": 20, "maxID": 30}], "preserveDefaultVlan": false,
     "dns": {"nameservers": ["10.96.0.10"], "search": ["a"]}, "subnetFile": "/nowhere/subnet.env",
     "ipam": {"type": "host-local", "dataDir": "/nowhere", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9",
       "rangeEnd": "10.1.0.20", "gateway": "10.1.0.1", "ranges": [[{"subnet": "10.2.0.0/24"}, {"subnet": "10.3.0.0/24"}],
       [{"subnet": "fd00:1::/64", "rangeStart": "fd00:1::5"}]],
       "routes": [{"dst": "0.0.0.0/0"}, {"dst": "fd01::/48", "gw": "fd00:1::1", "mtu": 1400, "table": 7, "scope": 0}]},
     "args": {"cni": {"mac": "0a:00:00:00:00:01", "ips": ["10.1.0.9/24"]}},
     "runtimeConfig": {"mac": "0a:00:00:00:00:02", "ips": ["fd00:1::9"], "ipRanges": [[{"subnet": "10.4.0.0/24"}]]},
     "delegate": {"bridge": "br1", "isDefaultGateway": true, "type": "bridge"}, "ipMasq": true,
     "hostgw": {"store": "file", "nodes-file": "/nowhere/nodes.json", "state-dir": "/nowhere"},
     "cni.dev/valid-attachments": [{"containerID": "a", "ifname": "eth0"}],
     "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "mac": "0a:00:00:00:00:02",
       "sandbox": "/run/netns/a", "mtu": 1500}], "ips": [{"address": "10.1.0.9/24", "gateway": "10.1.0.1",
       "interface": 0}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}], "dns": {}}}
    """#

  /// Boundary values of configuration fields.
  private static let values: [JSONValue] = [
    .null, true, false, 0, 1, -1, 255, 256, 1280, 65535, 65536, 4_294_967_295, 4_294_967_296, .integer(.max),
    .integer(.min), .real(0.5), .real(1e300), "", " ", "/", "..", "é", "\u{301}", "a\u{301}", "0", "x", "/0",
    "10.1.0.0/33",
    "10.1.0.1/", "0.0.0.0/0", "0.0.0.0/32", "255.255.255.255/32", "255.255.255.255", "255.255.255.252/30", "::/0", "::",
    "::/128", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126",
    "::ffff:10.1.0.1",
    "10.1.0.0/30", "10.1.0.0/24", "fd00::/127", "0.2.0", "0.4.0", "1.0.0", "9.9.9", "none", "00:00:00:00:00:00",
    .string(String(repeating: "n", count: 300)), [], [[]], [[[]]], [[:]], [[[:]]], [:], ["subnet": "10.1.0.0/24"],
    [.null], [[.null]],
  ]

  @Test(arguments: 0..<4) func mutatedValues(seed: UInt64) throws {
    var generator = Seeded(state: seed)
    let good = try JSONValue(parsing: Array(Self.good.utf8))
    var understood = 0
    for _ in 0..<600 {
      var value = good
      for _ in 0..<Int.random(in: 1...3, using: &generator) { value = mutated(value, &generator) }
      if try understand(Array(value.text().utf8), &generator) { understood += 1 }
    }
    // Otherwise all mutations would be refused at the first key.
    #expect(understood > 60)
  }

  @Test(arguments: 0..<2) func mutatedBytes(seed: UInt64) throws {
    var generator = Seeded(state: seed)
    let good = Array(Self.good.utf8)
    let marks = Array("{}[]\":,\\u0/.-".utf8)
    for _ in 0..<600 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...3, using: &generator) where !bytes.isEmpty {
        let index = Int.random(in: bytes.indices, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
        case 1: bytes.remove(at: index)
        case 2: bytes.insert(marks.randomElement(using: &generator) ?? 0, at: index)
        default: bytes.removeSubrange(index...)
        }
      }
      try understand(bytes, &generator)
    }
  }

  /// Runs every step that ADD does before it changes the kernel. Returns whether no step refused the configuration.
  @discardableResult
  private func understand(_ text: [UInt8], _ generator: inout Seeded) throws -> Bool {
    let verb = Verb.allCases.randomElement(using: &generator) ?? .add
    let type = [PluginType.causeway, .bridge, .flannel].randomElement(using: &generator) ?? .causeway
    let lease = try lease("10.244.1.1/24", "fd00:10:0:1::1/64")
    let error = answer {
      let network = try NetworkConfiguration(text, for: verb)
      _ = LenientConfiguration(network, as: type)
      _ = try validAttachments(network)
      let configuration = try AttachmentConfiguration(network, arguments: Arguments("", known: []), as: type)
      _ = configuration.bridged.port.vlans?.joined(defaultID: 1)
      let plan = try AddressPlan(configuration, lease)
      let ips = plan.rangeSets.compactMap { set in
        set.ranges.first.flatMap { range in
          IPPrefix(range.start, length: range.subnet.length).map {
            AttachmentResult.IP(address: $0, gateway: range.gateway)
          }
        }
      }
      let addresses = PodAddresses(ips: ips, routes: configuration.addressing?.routes ?? [])
      let routes = configuration.routes.routes(for: addresses, clusterNetworks: plan.clusterNetworks)
      var result = AttachmentResult(ips: ips, routes: routes, dns: configuration.dns)
      for version in SpecVersion.supported where !result.ips.isEmpty {
        let text = try result.json(version).text()
        let fields = try JSONFields(document: JSONValue(parsing: Array(text.utf8)), name: "the result")
        result = try AttachmentResult(fields, version: version)
      }
      if let previous = network.previousResult { _ = try previous.json(.current).text() }
    }
    guard let error else { return true }
    #expect(!error.message.isEmpty)
    #expect(error.code != .failed, "\(error)")
    _ = try error.json.text()
    return false
  }

  /// The value with one change at a random depth.
  private func mutated(_ value: JSONValue, _ generator: inout Seeded) -> JSONValue {
    switch value {
    case .object(let object) where !object.members.isEmpty && Int.random(in: 0..<8, using: &generator) > 0:
      return .object(JSONObject(mutated(object.members, &generator)))
    case .array(var array) where !array.isEmpty && Int.random(in: 0..<6, using: &generator) > 0:
      let index = Int.random(in: array.indices, using: &generator)
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: array.remove(at: index)
      case 1: array.append(array[index])
      default: array[index] = mutated(array[index], &generator)
      }
      return .array(array)
    default:
      return Self.values.randomElement(using: &generator) ?? .null
    }
  }

  private func mutated(_ members: [JSONObject.Member], _ generator: inout Seeded) -> [JSONObject.Member] {
    var members = members
    let index = Int.random(in: members.indices, using: &generator)
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: members.remove(at: index)
    case 1: members[index].name = members[index].name.uppercased()
    case 2:
      let value = mutated(members[index].value, &generator)
      members.append(JSONObject.Member(name: members[index].name.lowercased(), value: value))
    default: members[index].value = mutated(members[index].value, &generator)
    }
    return members
  }
}
