import JSON
import Testing
import TestSupport

/// Both programs together: pods on several nodes reach each other with the unchanged files of `conf`.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct ClusterTests {
  /// The plugin's configuration in conf/10-causeway.conflist, as a runtime passes it.
  private func shippedConfiguration(_ node: TestNode) throws -> JSONObject {
    let text = try run(["cat", "\(Binaries.packageRoot)/conf/10-causeway.conflist"]).succeeded().output
    let list = try #require(JSONValue(parsing: Array(text.utf8)).object)
    var plugin = try #require(list["plugins"]?.array?.first?.object)
    plugin["name"] = list["name"]
    plugin["cniVersion"] = list["cniVersion"]
    return plugin
  }

  @Test func podsOnTwoNodesReachEachOther() throws {
    let cluster = try Cluster(2)
    var hosts: [[String]] = []
    for node in cluster.nodes {
      // The shipped file has three nodes with the addresses of this cluster.
      try node.sh("cp \(Binaries.packageRoot)/conf/nodes.json /etc/causeway/nodes.json")
      try node.addPod("a")
      hosts.append(try Runtime(node: node).add("a", shippedConfiguration(node)).hosts)
    }
    #expect(hosts == [["10.244.1.2", "fd00:10:244:1::2"], ["10.244.2.2", "fd00:10:244:2::2"]])
    for host in hosts[1] { #expect(try cluster.nodes[0].ping(from: "a", host)) }
    for host in hosts[0] { #expect(try cluster.nodes[1].ping(from: "a", host)) }
    for node in cluster.nodes {
      try Runtime(node: node).delete("a", shippedConfiguration(node))
      #expect(try node.remains() == [])
    }
  }

  @Test func theShippedNetworkMatchesTheNodesFile() throws {
    let nodes = try run(["cat", "\(Binaries.packageRoot)/conf/nodes.json"]).output
    let network = try run(["cat", "\(Binaries.packageRoot)/conf/net-conf.json"]).output
    #expect(
      try JSONValue(parsing: Array(nodes.utf8)).object?["network"] == JSONValue(parsing: Array(network.utf8)))
  }
}
