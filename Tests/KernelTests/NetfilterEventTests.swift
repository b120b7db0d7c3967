import Netfilter
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot, .timeLimit(.minutes(1))) struct NetfilterEventTests {
  private static let setting = """
    table inet ours { set s { type ipv4_addr; }; chain c { accept; }; }
    table ip filter { chain FORWARD { type filter hook forward priority 0; ip saddr 10.0.0.1 accept comment "mark"; }; }
    table inet pods { set s { type ipv4_addr; elements = { 10.0.0.9 }; }; chain c { type nat hook postrouting priority 100; }; }
    """
  private let node: TestNode

  init() throws {
    node = try TestNode()
    try node.run(["nft", "-f", "-"], input: Self.setting).succeeded()
  }

  private func events() throws -> NetfilterEvents {
    try NetfilterEvents(in: node.namespace(), table: TableName(.inet, "ours"), comment: "mark")
  }

  @Test(arguments: [
    "delete table inet ours", "flush table inet ours", "add rule inet ours c drop", "add chain inet ours d",
    "add element inet ours s { 10.0.0.1 }", "flush chain ip filter FORWARD", "delete table ip filter",
    "chain ip filter FORWARD { policy drop; }",
    "add table ip6 f; add chain ip6 f c { type filter hook forward priority 0; }",
    #"add rule inet pods c accept comment "mark""#,
  ])
  func relevantChangesEndTheWait(_ change: String) throws {
    var events = try events()
    try node.run(["nft", "-f", "-"], input: change).succeeded()
    #expect(try events.waitForChange(atMost: .seconds(10)))
  }

  @Test func otherChangesDoNotEndTheWait() throws {
    var events = try events()
    let changes = """
      add element inet pods s { 10.0.0.1 }
      delete element inet pods s { 10.0.0.9 }
      add rule inet pods c accept
      add chain inet pods d
      add rule ip filter FORWARD accept comment "other"
      add table ip ours
      add chain ip ours c
      add table ip6 g
      add chain ip6 g c { type filter hook input priority 0; policy drop; }
      delete table ip6 g
      delete table inet pods
      """
    try node.run(["nft", "-f", "-"], input: changes).succeeded()
    #expect(try !events.waitForChange(atMost: .milliseconds(300)))
  }

  /// More notifications than any buffer holds: the loss counts as a change, and later changes are received.
  @Test func lostNotificationsCount() throws {
    var events = try events()
    let elements = (0..<60000).map { "10.1.\($0 / 250).\($0 % 250)" }.joined(separator: ", ")
    for verb in ["add", "delete"] {
      try node.run(["nft", "-f", "-"], input: "\(verb) element inet pods s { \(elements) }").succeeded()
    }
    #expect(try events.waitForChange(atMost: .seconds(10)))
    try node.sh("nft flush table inet ours")
    #expect(try events.waitForChange(atMost: .seconds(10)))
  }
}
