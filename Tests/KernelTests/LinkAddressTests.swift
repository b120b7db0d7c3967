import Addresses
import Glibc
import JSON
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct LinkAddressTests {
  private let node: TestNode
  private let index: Int32

  init() throws {
    node = try TestNode()
    index = try node.addUplink()
  }

  private func seen() throws -> [JSONObject] {
    try node.ip(json: "address", "show", "dev", "eth0").first?["addr_info"]?.array?.compactMap(\.object).filter {
      $0["scope"] == "global"
    } ?? []
  }

  @Test(arguments: [
    ("10.244.1.7/24", "10.244.1.255"), ("10.244.1.7/31", nil), ("10.244.1.7/32", nil), ("fd00:1::7/64", nil),
    ("fd00:1::7/128", nil),
  ])
  func addsReadsAndRemoves(_ text: String, _ broadcast: String?) throws {
    let prefix = try prefix(text)
    var socket = try node.routeSocket()
    try socket.perform(.addAddress(prefix, to: index))

    let inKernel = try #require(try seen().first)
    #expect(inKernel["local"]?.string == prefix.address.description)
    #expect(inKernel["prefixlen"] == .integer(Int64(prefix.length)))
    #expect(inKernel["broadcast"]?.string == broadcast)
    #expect(inKernel["tentative"] == nil)

    let read = try #require(try socket.addresses(on: index).first { $0.scope == 0 })
    #expect(read.prefix == prefix && read.linkIndex == index)
    #expect(read.isPermanent && read.isUsable)

    #expect(refusal { try socket.perform(.addAddress(prefix, to: index)) }?.errno == EEXIST)
    try socket.perform(.removeAddress(prefix, from: index))
    #expect(try seen().isEmpty)
    let error = refusal { try socket.perform(.removeAddress(prefix, from: index)) }
    #expect(error?.errno == EADDRNOTAVAIL)
    #expect(error?.text.hasPrefix("remove the address \(text): ") == true)
  }

  @Test func anIPv6AddressWaitsForDetectionOnlyOnRequest() throws {
    try node.sh("echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad")
    var socket = try node.routeSocket()
    try socket.perform(.addAddress(prefix("fd00:1::7/64"), to: index))
    #expect(try socket.addresses(on: index).first { $0.scope == 0 }?.isUsable == true)
    try socket.perform(.removeAddress(prefix("fd00:1::7/64"), from: index))
    // Duplicate address detection begins when the link is up.
    try node.sh("ip link set eth0 down")
    try socket.perform(.addAddress(prefix("fd00:1::8/64"), to: index, detectsDuplicates: true))
    #expect(try socket.addresses(on: index).first { $0.scope == 0 }?.isUsable == false)
    try node.sh("ip link set eth0 up")
    #expect(try eventually { try socket.addresses(on: index).first { $0.scope == 0 }?.isUsable == true })
  }

  @Test(arguments: ["10.244.1.7/24", "fd00:1::7/64"]) func addressesHaveTheirProtocol(_ text: String) throws {
    var socket = try node.routeSocket()
    try socket.perform(.addAddress(prefix(text), to: index, owner: 203))
    #expect(try socket.addresses(on: index).first { $0.scope == 0 }?.owner == 203)
  }

  @Test func aPointToPointAddressIsTheLocalOne() throws {
    try node.sh("ip address add 10.9.0.1 peer 10.9.0.2/32 dev eth0")
    var socket = try node.routeSocket()
    #expect(try socket.addresses(on: index).first?.prefix.address.description == "10.9.0.1")
  }

  @Test func listsOneLinkOrAll() throws {
    var socket = try node.routeSocket()
    try socket.perform(.addAddress(prefix("10.244.1.7/24"), to: index))
    try socket.perform(.addAddress(prefix("fd00:1::7/64"), to: index))
    let loopback = try node.index(of: "lo")
    #expect(try Set(socket.addresses(on: loopback).map(\.prefix.description)) == ["127.0.0.1/8", "::1/128"])
    #expect(try socket.addresses(on: index).allSatisfy { $0.linkIndex == index })
    let all = try socket.addresses().map(\.prefix.description)
    #expect(Set(["127.0.0.1/8", "::1/128", "10.244.1.7/24", "fd00:1::7/64"]).isSubset(of: all))
  }

  @Test func anAddressWithoutIPv6IsEACCES() throws {
    try node.sh("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6")
    var socket = try node.routeSocket()
    #expect(refusal { try socket.perform(.addAddress(prefix("fd00:1::7/64"), to: index)) }?.errno == EACCES)
  }

  @Test func anUnknownLinkIsENODEV() throws {
    var socket = try node.routeSocket()
    #expect(refusal { try socket.perform(.addAddress(prefix("10.0.0.1/24"), to: 4711)) }?.errno == ENODEV)
    #expect(refusal { try socket.perform(.addAddress(prefix("fd00::1/64"), to: 4711)) }?.errno == ENODEV)
  }
}
