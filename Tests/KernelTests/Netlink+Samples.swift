import Addresses
import JSON
import Netlink
import Testing
import TestSupport

/// A prefix from a test's own text.
func prefix(_ text: String) throws -> IPPrefix { try #require(IPPrefix(text)) }

/// An address from a test's own text.
func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

/// A MAC address from a test's own text.
func mac(_ text: String) throws -> MACAddress { try #require(MACAddress(text)) }

extension TestNode {
  /// The output of `ip -json link show` for one link.
  func link(_ name: String, inPod pod: String? = nil) throws -> JSONObject {
    try #require(ip(json: "link", "show", name, inPod: pod).first)
  }

  /// The index of a link, read by netlink.
  func index(of name: String) throws -> Int32 {
    var socket = try routeSocket()
    return try #require(try socket.link(named: name)).index
  }

  /// Adds a link with addresses that routes can use: one end of a veth pair, both ends up.
  @discardableResult
  func addUplink(_ name: String = "eth0", addresses: String...) throws -> Int32 {
    try sh("ip link add \(name) type veth peer name \(name)-peer && ip link set \(name)-peer up")
    for address in addresses { try sh("ip address add \(address) dev \(name) nodad") }
    // The kernel adds the link-local address with a delay, and notifies it.
    try sh(
      """
      ip link set \(name) up
      until ip -o -6 address show dev \(name) scope link | grep -q fe80; do sleep 0.02; done
      """)
    return try index(of: name)
  }
}

/// The error of `body`; the test fails if there is none.
func refusal(_ body: () throws -> Void) -> (errno: Int32, text: String)? {
  let error = #expect(throws: NetlinkError.self) { try body() }
  return error.map { ($0.errno, "\($0)") }
}
