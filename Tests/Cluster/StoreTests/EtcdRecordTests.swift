import Addresses
import Backends
@testable import EtcdStore
import JSON
@testable import Nodes
@testable import StoreTransport
import Testing
import TestSupport

/// A record in the form of etcd's answer.
func record(
  _ name: String, _ value: String, created: Int64 = 1, modified: Int64? = nil, lease: Int64 = 7
) -> EtcdRecord {
  let object: JSONObject = [
    "key": .string(Base64.encode("/p/subnets/" + name)), "value": .string(Base64.encode(value)),
    "create_revision": .string("\(created)"), "mod_revision": .string("\(modified ?? created)"),
    "lease": .string("\(lease)"),
  ]
  return EtcdRecord(EtcdKeyValue(object), name: name)
}

/// The record of a host-gw node.
func record(
  _ name: String, of address: String, ipv6: String? = nil, created: Int64 = 1, lease: Int64 = 7
) -> EtcdRecord {
  let ipv6 = ipv6.map { #""\#($0)""# } ?? "null"
  return record(
    name, #"{"PublicIP":"\#(address)","PublicIPv6":\#(ipv6),"BackendType":"host-gw"}"#, created: created, lease: lease)
}

@Suite struct EtcdRecordTests {
  @Test(arguments: [
    ("10.5.34.0-24", "10.5.34.0/24", nil),
    ("10.12.13.0-24&fd00:12:13::-56", "10.12.13.0/24", "fd00:12:13::/56"),
    ("0.0.0.0-0", "0.0.0.0/0", nil), ("10.0.0.0-8&::-0", "10.0.0.0/8", "::/0"),
  ])
  func keysWithOneAndTwoSubnetsAreRead(name: String, subnet: String, ipv6Subnet: String?) throws {
    let key = try #require(EtcdSubnetKey(parsing: name))
    #expect("\(key.subnet)" == subnet && key.ipv6Subnet?.description == ipv6Subnet)
    #expect(key.text == name)
  }

  @Test(arguments: [
    "", "-", "&", "10.5.34.0", "10.5.34.0/24", "10.5.34.0-", "10.5.34.0-33", "10.5.34-24", "10.5.34.0-24&",
    "10.5.34.0-24&10.5.35.0-24", "fd00::-64", "fd00::-64&10.5.34.0-24", "10.5.34.0-24&fd00::-64&fd01::-64",
    " 10.5.34.0-24", "10.5.34.0-24 ", "10.5.34.0--24", "10.5.34.0-24&fd00::/64", "10.5.34.0-24&::ffff:1.2.3.4-64",
    "10.05.34.0-24", "rubbish", "10.5.34.0-24-24",
  ])
  func invalidKeyIsRefused(_ name: String) {
    #expect(EtcdSubnetKey(parsing: name) == nil)
    let record = record(name, of: "192.0.2.1")
    #expect(record.key == nil && record.problem?.contains("its key is not like") == true)
  }

  /// Every text is read or refused, and a text that is read is written again with the same meaning.
  @Test func mutatedKeysAreRefusedOrReadBackUnchanged() {
    var generator = Seeded(state: 5)
    let alphabet = Array("0123456789.-&:abcdef/ é")
    for _ in 0..<20_000 {
      var text = Array("10.12.13.0-24&fd00:12:13::-56")
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let position = Int.random(in: 0..<text.count, using: &generator)
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: text[position] = alphabet.randomElement(using: &generator) ?? "0"
        case 1: text.insert(alphabet.randomElement(using: &generator) ?? "0", at: position)
        default: if text.count > 1 { text.remove(at: position) }
        }
      }
      guard let key = EtcdSubnetKey(parsing: String(text)) else { continue }
      #expect(EtcdSubnetKey(parsing: key.text) == key)
    }
  }

  @Test func recordOfFlannelHostGWIsRead() {
    let record = record("10.5.34.0-24", of: "192.0.2.7", ipv6: "2001:db8::7", created: 9, lease: 77)
    #expect(record.problem == nil && record.nodeName == "192.0.2.7" && record.leaseID == 77)
    #expect(record.addresses.v6 == IPAddress("2001:db8::7") && record.createRevision == 9)
    #expect(record.belongs(to: [IPAddress("192.0.2.7")].compactMap { $0 }))
  }

  /// A record in the form that flannel's encoder writes.
  @Test func recordOfFlannelVXLANIsRead() throws {
    let record = record(
      "10.5.34.0-24&fd00:5::-64",
      #"{"PublicIP":"192.0.2.7","PublicIPv6":"2001:db8::7","BackendType":"vxlan","#
        + #""BackendData":{"VNI":1,"VtepMAC":"4e:6b:09:df:32:a1"},"BackendV6Data":{"VNI":1,"VtepMAC":"be:0c:aa:14:5d:02"}}"#
    )
    #expect(record.problem == nil)
    #expect(record.backend.data.v4.flatMap(vtepMAC) == MACAddress("4e:6b:09:df:32:a1"))
    #expect(record.backend.data.v6.flatMap(vtepMAC) == MACAddress("be:0c:aa:14:5d:02"))
    #expect(VXLANConf().problem(of: record.backend, .v4) == nil)
    #expect(VXLANConf(vni: 2).problem(of: record.backend, .v6) == "its VNI is 1, but must be 2")
    #expect(Alloc().problem(of: record.backend, .v4) == nil)
  }

  @Test(
    arguments: [
      (#"{"BackendType":"vxlan","BackendData":{"VtepMAC":"x"}}"#, "host-gw", "its backend is vxlan, only host-gw"),
      (#"{"BackendType":"host-gw"}"#, "vxlan", "its backend is host-gw, only vxlan can be reached"),
      (#"{"BackendType":"Tencent-VPC"}"#, "host-gw", "tencent-vpc"), (#"{}"#, "vxlan", "udp"),
      (#"{"BackendType":"vxlan","BackendData":{"VNI":1,"VtepMAC":"x"}}"#, "vxlan", "its VtepMAC is \"x\""),
      (#"{"BackendType":"vxlan","BackendData":{"VtepMAC":"01:00:5e:00:00:01"}}"#, "vxlan", "its VtepMAC is"),
      // Flannel before 0.13 wrote no VNI; a record without a MAC address cannot contradict our settings.
      (#"{"BackendType":"VXLAN","BackendData":{"VtepMAC":"4e:6b:09:df:32:a1"}}"#, "vxlan", nil),
      (#"{"BackendType":"vxlan","BackendData":7}"#, "vxlan", nil), (#"{"BackendType":"vxlan"}"#, "vxlan", nil),
    ] as [(String, String, String?)])
  func recordOfAnotherBackendHasAReason(_ value: String, _ ours: String, _ word: String?) throws {
    let record = record("10.5.34.0-24", value)
    let backend: any ClusterBackend = ours == "vxlan" ? VXLANConf() : HostGateway()
    let problem = backend.problem(of: record.backend, .v4)
    #expect(problem.map { $0.contains(word ?? "nothing") } ?? (word == nil), "\(problem ?? "none")")
    #expect(record.problem == nil)
  }

  @Test func writtenRecordsHaveFlannelsFormat() throws {
    let both = ["192.0.2.7", "2001:db8::7"].compactMap { IPAddress($0) }
    let macs = IPFamily.allCases.map { VXLANConf(vni: 3).derivedMAC(ofNode: "192.0.2.7", $0) }
    #expect(
      try EtcdRecord.value(both, in: VXLANConf(vni: 3))
        == #"{"PublicIP":"192.0.2.7","PublicIPv6":"2001:db8::7","BackendType":"vxlan","#
        + #""BackendData":{"VNI":3,"VtepMAC":"\#(macs[0])"},"BackendV6Data":{"VNI":3,"VtepMAC":"\#(macs[1])"}}"#)
    #expect(
      try EtcdRecord.value(both, in: HostGateway())
        == #"{"PublicIP":"192.0.2.7","PublicIPv6":"2001:db8::7","BackendType":"host-gw"}"#)
    #expect(
      try EtcdRecord.value([both[0]], in: HostGateway())
        == #"{"PublicIP":"192.0.2.7","PublicIPv6":null,"BackendType":"host-gw"}"#)
    let backends: [any ClusterBackend] = [HostGateway(), Alloc(), VXLANConf()]
    for (addresses, backend) in [both, [both[0]], [both[1]]].flatMap({ list in backends.map { (list, $0) } }) {
      let read = record("10.5.34.0-24", try EtcdRecord.value(addresses, in: backend))
      for other in backends { #expect(read.publishes(addresses, in: other) == (type(of: other) == type(of: backend))) }
      #expect(!read.publishes(addresses, in: VXLANConf(vni: 9)))
      #expect(read.belongs(to: addresses) && read.problem == nil)
    }
  }

  @Test(arguments: [
    ("", "its record is no JSON object"), ("[]", "must be a JSON object"),
    (#"{"PublicIP":7,"BackendType":"host-gw"}"#, "PublicIP in its record is a number"),
    (#"{"PublicIP":"nonsense","BackendType":"host-gw"}"#, "nonsense"),
    (#"{"PublicIP":"2001:db8::1","BackendType":"host-gw"}"#, "2001:db8::1"),
    (#"{"PublicIP":"127.0.0.1","BackendType":"host-gw"}"#, "127.0.0.1"),
    (#"{"PublicIP":"192.0.2.9","PublicIPv6":"fe80::1","BackendType":"host-gw"}"#, "fe80::1"),
    (#"{"PublicIP":"192.0.2.9","BackendType":["host-gw"]}"#, "BackendType in its record is an array"),
  ])
  func unreadableRecordHasAReason(value: String, word: String) throws {
    let record = record("10.5.34.0-24", value)
    #expect(try #require(record.problem).contains(word), "\(record.problem ?? "")")
    #expect(record.subnet(.v4) == IPPrefix("10.5.34.0/24"))
  }

  @Test func keysAndBackendMatchInAnyCase() {
    let record = record("10.5.34.0-24", #"{"publicip":"192.0.2.9","backendtype":"Host-GW"}"#)
    #expect(
      record.problem == nil && HostGateway().problem(of: record.backend, .v4) == nil
        && record.addresses.v4 == IPAddress("192.0.2.9"))
  }

  @Test(arguments: [
    ("10.5.34.7-24", "host bits"), ("10.5.34.0-31", "too small"), ("10.0.0.0-8&fd00::-127", "too small"),
  ])
  func invalidSubnetHasAReason(name: String, word: String) throws {
    #expect(try #require(record(name, of: "192.0.2.9").problem).contains(word))
  }
}

/// Address of the tunnel device in what a node publishes.
func vtepMAC(_ data: JSONObject) -> MACAddress? { data["VtepMAC"]?.string.flatMap { MACAddress($0) } }
