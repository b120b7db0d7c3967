import Addresses
import JSON
import Netlink
import Testing
import TestSupport

/// For prefixes that a test writes down itself.
func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

/// For addresses that a test writes down itself.
func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

/// For MAC addresses that a test writes down itself.
func mac(_ text: String) throws -> MACAddress { try #require(MACAddress(text)) }

extension TestNode {
  /// What `ip` tells of one link.
  func link(_ name: String, inPod pod: String? = nil) throws -> JSONObject {
    try #require(ip(json: "link", "show", name, inPod: pod).first)
  }

  /// The index of a link, asked for over netlink.
  func index(of name: String) throws -> Int32 {
    var socket = try routeSocket()
    return try #require(try socket.link(named: name)).index
  }

  /// A link with addresses that routes may go out of: one end of a veth pair, both up.
  @discardableResult
  func addUplink(_ name: String = "eth0", addresses: String...) throws -> Int32 {
    try sh("ip link add \(name) type veth peer name \(name)-peer && ip link set \(name)-peer up")
    for address in addresses { try sh("ip address add \(address) dev \(name) nodad") }
    // The kernel gives the link its own address when it comes to it, and tells of it.
    try sh(
      """
      ip link set \(name) up
      until ip -o -6 address show dev \(name) scope link | grep -q fe80; do sleep 0.02; done
      """)
    return try index(of: name)
  }
}

/// What the kernel refused and why; fails the test where nothing was.
func refusal(_ body: () throws -> Void) -> (errno: Int32, text: String)? {
  let error = #expect(throws: NetlinkError.self) { try body() }
  return error.map { ($0.errno, "\($0)") }
}
