/// A layer-2 segment for a test: a bridge in a namespace of its own, to which nodes are connected by veth pairs.
package final class TestSegment: Sendable {
  private let home: TestNode

  package init() throws {
    home = try TestNode()
    try home.sh("ip link add segment type bridge forward_delay 0 && ip link set segment up")
  }

  /// Connects a node to the segment by a link of this name with these addresses (`192.0.2.11/24`), and sets it up.
  package func connect(_ node: TestNode, as link: String = "eth0", addresses: [String]) throws {
    // The port's name has the node's process ID, which is unique, because a node may have several links.
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

  /// Sets the segment's end of the link up or down, so that the node's link has or loses its carrier.
  package func setCarrier(_ isOn: Bool, of node: TestNode, link: String = "eth0") throws {
    try home.sh("ip link set \"\(link)-\(node.processID)\" \(isOn ? "up" : "down")")
  }

  /// Drops this percentage of TCP packets between the nodes, as long as the segment exists.
  package func drop(percent: Int) throws -> Loss {
    try home.run(
      ["nft", "-f", "-"],
      input: """
        table bridge loss {
          counter lost { }
          chain forward {
            type filter hook forward priority 0; policy accept;
            meta l4proto tcp numgen random mod 100 < \(percent) counter name lost drop
          }
        }

        """
    ).succeeded()
    return Loss(home: home)
  }

  /// The packet loss of a segment.
  package struct Loss {
    fileprivate let home: TestNode

    /// The number of packets dropped so far.
    package func packets() throws -> Int {
      let words = try home.sh("nft list counter bridge loss lost").split { $0.isWhitespace }
      return words.firstIndex(of: "packets").flatMap { Int(words[$0 + 1]) } ?? 0
    }
  }
}
