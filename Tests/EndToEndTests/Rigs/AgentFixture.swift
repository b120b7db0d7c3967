import JSON
import Testing
import TestSupport

/// Three nodes, with an agent on the first one that has installed its routes.
final class AgentFixture {
  static let routes = [
    "10.244.2.0/24 via 192.0.2.12", "10.244.3.0/24 via 192.0.2.13",
    "fd00:10:244:2::/64 via 2001:db8::12", "fd00:10:244:3::/64 via 2001:db8::13",
  ]
  let cluster: Cluster
  let node: TestNode
  let agent: RunningProgram

  init(_ arguments: String...) throws {
    cluster = try Cluster(3)
    node = cluster.nodes[0]
    agent = try node.start([Binaries.hostgw, "run"] + arguments)
    try expectRoutes(AgentFixture.routes)
  }

  func expectRoutes(_ routes: [String]) throws {
    let isReached = try eventually { try node.podRoutes() == routes }
    let now = try node.podRoutes()
    #expect(isReached, "\(now)\n\(agent.output)")
  }

  /// The outgoing links of the routes to pods.
  func devices() throws -> Set<String> {
    let routes = try ["-4", "-6"].flatMap { try node.ip(json: $0, "route", "show", "proto", "202", "type", "unicast") }
    return Set(routes.map { $0["dev"]?.string ?? "none" })
  }

  /// Waits for a pass that begins after this call: it restores the route that is removed here.
  func waitForPass() throws {
    try node.sh("ip route del 10.244.3.0/24")
    try expectRoutes(AgentFixture.routes)
  }

  /// Waits until both `subnet.env` and its copy contain the line.
  func expectLease(_ line: String) throws {
    let files = ["/run/causeway/subnet.env", "/var/lib/causeway/lease.env"]
    let isReached = try eventually {
      try files.allSatisfy { try node.run(["grep", "-qx", line, $0]).status == 0 }
    }
    let now = try node.sh("cat \(files.joined(separator: " "))")
    #expect(isReached, "\(now)\n\(agent.output)")
  }
}
