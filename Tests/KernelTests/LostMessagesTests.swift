import Testing
import TestSupport

@testable import Netlink

/// A socket whose buffer has overflowed (ENOBUFS) still returns whole lists.
@Suite(.requiresRoot, .timeLimit(.minutes(1))) struct LostMessagesTests {
  @Test func aListIsReadAgainAfterALoss() throws {
    let node = try TestNode()
    var socket = try node.routeSocket()
    // RTNLGRP_LINK, with the smallest buffer that the kernel allows.
    try socket.netlink.subscribe(to: [1], bufferBytes: 1)
    try node.sh("for i in $(seq 300); do echo \"link add p$i type veth peer name q$i\"; done | ip -batch -")
    #expect(try socket.links().count { $0.name.hasPrefix("p") } == 300)
    // The socket works as before.
    #expect(try socket.links().count { $0.name.hasPrefix("q") } == 300)
  }
}
