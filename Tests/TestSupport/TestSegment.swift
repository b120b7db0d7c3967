/// A layer-2 network for a test: a bridge in a namespace of its own, to which nodes are cabled.
package final class TestSegment: Sendable {
  private let home: TestNode

  package init() throws {
    home = try TestNode()
    try home.sh("ip link add segment type bridge forward_delay 0 && ip link set segment up")
  }

  /// Cables a node to the segment: a link of this name with these addresses (`192.0.2.11/24`) appears in it, up.
  package func connect(_ node: TestNode, as link: String = "eth0", addresses: [String]) throws {
    // The port carries the number of the node's process: no two nodes share one, and a node may have several cables.
    let port = "\(link)-\(node.processID)"
    try home.sh(
      """
      ip link add "\(port)" type veth peer name "\(link)" netns \(node.processID)
      ip link set "\(port)" master segment up
      """)
    for address in addresses {
      try node.sh("ip address add \(address) dev \(link) \(address.contains(":") ? "nodad" : "")")
    }
    try node.sh("ip link set \(link) up")
  }

  /// Pulls the plug at the segment's side: the node's link loses its carrier.
  package func setCarrier(_ isOn: Bool, of node: TestNode, link: String = "eth0") throws {
    try home.sh("ip link set \"\(link)-\(node.processID)\" \(isOn ? "up" : "down")")
  }
}
