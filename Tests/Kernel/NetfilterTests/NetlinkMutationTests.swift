import Addresses
import Testing
import TestSupport

@testable import Netfilter
@testable import Netlink

/// Messages with wrong lengths and with attributes that are cut, doubled or nested in wrong places.
@Suite struct NetlinkMutationTests {
  /// Requests serve as samples: they have the same headers and attributes as replies.
  private static let samples: [[UInt8]] = {
    guard let prefix = IPPrefix("10.244.1.0/24"), let gateway = IPAddress("192.0.2.1"), let v6 = IPPrefix("fd00::1/64"),
      let mac = MACAddress("02:00:00:00:00:01")
    else { return [] }
    var route = Route(prefix, via: gateway, linkIndex: 3, owner: 202)
    route.mtuBytes = 1400
    let table = TableName(.inet, "causeway")
    let set = SetName("pods", in: table)
    let requests: [NetlinkRequest] = [
      .addRoute(route), .addRoute(Route(prefix, via: IPAddress("fe80::1"), owner: 202)), .addAddress(v6, to: 3),
      .addBridge(name: "cni0", mac: mac), .changeLink(name: "eth0", LinkChange(alias: "causeway:a", hairpin: true)),
      .addVLANs([PortVLANs(1...20), .native(7)], to: 3, name: "x"), .addTable(table),
      .addSet(set, key: .linkNameAndMAC, id: 1),
      .addRule([.counter, .masquerade, .drop], to: ChainName("c", in: table), comment: "causeway:a:b"),
      .addElement([10, 9, 0, 2], to: set, comment: "net:a:eth0"), .getElement([10, 9, 0, 2], in: set),
    ]
    // Replies have other types than requests, and a datagram may contain several.
    let messages = requests.map { $0.sealed(sequence: 1, flags: 0) }
    let codes: [[UInt8]] = [[0, 0, 0, 0x80], [0xFE, 0xFF, 0xFF, 0xFF], []]
    let errors = codes.map { code in
      var reply = messages[0]
      reply.replaceSubrange(4..<6, with: [2, 0])
      reply.replaceSubrange(16..<min(20, reply.count), with: code)
      return reply
    }
    return messages + errors + [Array(messages.joined())]
  }()

  @Test(arguments: 0..<2 as Range<UInt64>) func isRefusedOrRead(seed: UInt64) throws {
    var mutations = Mutations(of: NetlinkMutationTests.samples, seed: seed)
    var read = 0
    for _ in 0..<3000 {
      guard let replies = try? NetlinkReply.split(mutations.next()[...]) else { continue }
      for reply in replies {
        read += 1
        try parse(reply)
      }
    }
    #expect(read > 300)
  }

  /// Every parser reads every message; accepted values are in range.
  private func parse(_ reply: NetlinkReply) throws {
    _ = try? Link(reply)
    if let address = try? LinkAddress(reply) { #expect(address.prefix.length <= address.prefix.family.bitCount) }
    if let route = try? Route(reply) { #expect(route.destination.length <= route.destination.family.bitCount) }
    if let member = try? BridgeMember(reply) { _ = member.untaggedID }
    for family in IPFamily.allCases { _ = try? DefaultRoute(reply, family) }
    _ = try? NetlinkSocket.failure(reply, NetlinkRequest("read", "a reply", type: 0))
    let table = TableName(.inet, "t")
    // After `nfgenmsg`.
    guard let attributes = try? Attributes(reply.payload.dropFirst(4)) else { return }
    _ = try? NetfilterRule(attributes, in: table)
    _ = try? FilterRule(attributes, in: table)
    _ = try? SetElement(attributes)
    for element in attributes.list(1) { _ = try? SetElement(Attributes(element)) }
    _ = ForwardChain.hookNumber(attributes)
    _ = UserDataComment.read(reply.payload)
  }

  /// No errno has this value, but a wrong message must not trap.
  @Test func theSmallestErrnoDoesNotTrap() throws {
    let payload: [UInt8] = [0, 0, 0, 0x80] + [UInt8](repeating: 0, count: 16)
    let reply = NetlinkReply(type: NetlinkType.error, flags: 0, sequence: 1, port: 0, payload: payload[...])
    let failure = try #require(try NetlinkSocket.failure(reply, NetlinkRequest("ask", "something", type: 0)))
    #expect(failure.errno == .min && !failure.description.isEmpty)
  }
}
