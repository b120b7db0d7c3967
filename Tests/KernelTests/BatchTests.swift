import Addresses
import Glibc
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct BatchTests {
  private let node: TestNode
  private let index: Int32

  init() throws {
    node = try TestNode()
    index = try node.addUplink(addresses: "192.0.2.1/24", "2001:db8::1/64")
  }

  /// The `number`th /24 of 10.0.0.0/8.
  private func destination(_ number: Int) throws -> IPPrefix { try prefix("10.\(number / 256).\(number % 256).0/24") }

  private func route(_ number: Int, gateway: String) throws -> Route {
    try Route(destination(number), via: address(gateway), linkIndex: index, owner: 202)
  }

  /// Every error belongs to its own request and does not stop the others.
  @Test func errorsBelongToTheirRequests() throws {
    let count = 5000
    func isBad(_ number: Int) -> Bool { number % 7 == 3 || (990..<1210).contains(number) || number == count - 1 }
    let requests = try (0..<count).map {
      try NetlinkRequest.addRoute(route($0, gateway: isBad($0) ? "198.51.100.1" : "192.0.2.2"))
    }
    var socket = try node.routeSocket()
    let failures = try socket.perform(requests)
    #expect(failures.count == count)
    for (number, failure) in failures.enumerated() {
      guard isBad(number) else {
        #expect(failure == nil)
        continue
      }
      #expect(failure?.errno == ENETUNREACH)
      #expect(failure?.description.contains(" \(requests[number].subject): ") == true)
    }
    let routes = try socket.routes(owner: 202)
    let wanted = try (0..<count).filter { !isBad($0) }.map(destination)
    #expect(routes.count == wanted.count)
    #expect(Set(routes.map(\.destination)) == Set(wanted))

    // The socket's sequence numbers still match, and the same requests now fail with EEXIST.
    let again = try socket.perform(requests)
    #expect(again.enumerated().allSatisfy { $1?.errno == (isBad($0) ? ENETUNREACH : EEXIST) })
    #expect(try socket.perform(routes.map(NetlinkRequest.removeRoute)).allSatisfy { $0 == nil })
    #expect(try socket.routes(owner: 202).isEmpty)
  }

  @Test func everyRequestMayFail() throws {
    var socket = try node.routeSocket()
    let requests = try (0..<3000).map { try NetlinkRequest.addRoute(route($0, gateway: "198.51.100.1")) }
    #expect(try socket.perform(requests).allSatisfy { $0?.errno == ENETUNREACH })
    #expect(try socket.link(named: "eth0")?.index == index)
  }

  @Test func anEmptyBatchSucceeds() throws {
    var socket = try node.routeSocket()
    #expect(try socket.perform([NetlinkRequest]()).isEmpty)
  }

  @Test func thousandsOfNextHopsAndRoutes() throws {
    var socket = try node.routeSocket()
    let hops = try (1...5000).map {
      try NextHop(
        id: UInt32($0), gateway: address("2001:db8::1:\(String($0, radix: 16))"), linkIndex: index, owner: 202)
    }
    #expect(try socket.perform(hops.map(NetlinkRequest.addNextHop)).allSatisfy { $0 == nil })
    let routes = try hops.map {
      try Route(destination(Int($0.id)), nextHopID: $0.id, owner: 202)
    }
    #expect(try socket.perform(routes.map(NetlinkRequest.addRoute)).allSatisfy { $0 == nil })
    #expect(try Set(#require(try socket.nextHops(owner: 202)).owned) == Set(hops))
    #expect(try socket.routes(owner: 202).count == 5000)
    #expect(try socket.perform(hops.map(NetlinkRequest.removeNextHop)).allSatisfy { $0 == nil })
    #expect(try socket.routes(owner: 202).isEmpty)
  }
}
