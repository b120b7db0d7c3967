import JSON
import Testing
import TestSupport

/// Established flows between pods are carried: in both modes of the plugin, both families, and with both values of
/// `--fast-path-flows`.
@Suite(.requiresRoot) struct FastPathTests {
  @Test(arguments: ["bridge", "routed"], ["conntrack", "sight"])
  func pingsAreCarried(_ mode: String, _ flows: String) throws {
    let cluster = try FastPathCluster(options: ["--fast-path-flows", flows])
    _ = try cluster.addPod(0, more(mode))
    for address in try cluster.addPod(1, more(mode)) {
      // Waits until the nodes have resolved each other's addresses.
      #expect(try eventually { try cluster.nodes[0].ping(from: "pod", address) })
      let before = try (0..<2).map { try (cluster.packets($0, "from-pod"), cluster.packets($0, "to-pod")) }
      let ping = try cluster.nodes[0].run(
        ["ip", "netns", "exec", "pod", "ping", "-n", "-c", "20", "-i", "0.2", "-W", "2", address])
      #expect(ping.output.contains("20 packets transmitted, 20 received"), "\(ping.output)")
      // Each of the two nodes is a hop.
      #expect(ping.output.contains("ttl=62"), "\(ping.output)")
      for index in 0..<2 {
        // The first packets use the ordinary path.
        #expect(try cluster.packets(index, "from-pod") - before[index].0 >= 15)
        #expect(try cluster.packets(index, "to-pod") - before[index].1 >= 15)
      }
    }
  }

  /// DEL removes the pod's entries without an error, because another pod may get its addresses at once.
  @Test func deleteSucceedsWithTheFastPath() throws {
    let cluster = try FastPathCluster()
    _ = try cluster.addPod(0, more("bridge"))
    let answer = try Runtime(node: cluster.nodes[0]).call(
      "DEL", "pod", configuration: ["cniVersion": "1.1.0", "name": "podnet", "type": "causeway"])
    try answer.process.succeeded()
    #expect(answer.process.errors.isEmpty, "\(answer)")
  }

  private func more(_ mode: String) -> JSONObject { ["mode": .string(mode)] }
}

extension FastPathCluster {
  fileprivate func addPod(_ index: Int, _ more: JSONObject) throws -> [String] { try addPod(index, "pod", keys: more) }
}
