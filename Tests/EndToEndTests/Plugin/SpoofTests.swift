import JSON
import Testing
import TestSupport

/// `macspoofchk`: packets of a pod that do not have its own MAC are dropped.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct SpoofTests {
  private func elements(_ node: TestNode) throws -> [String] {
    try node.lines("nft list table bridge causeway | grep -o 'comment \"[^\"]*\"' || true")
  }

  @Test func packetsFromAnotherMACAreDropped() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["macspoofchk": true])
    for pod in ["a", "b"] { try node.addPod(pod) }
    let answer = try runtime.add("a", configuration)
    try runtime.add("b")
    #expect(try elements(node) == Array(repeating: "comment \"podnet:a:eth0\"", count: 2))
    #expect(try node.ping(from: "a", "10.9.0.1") && node.ping(from: "a", "fd00:9::1"))
    var check = configuration
    check["prevResult"] = .object(try #require(answer.json))
    try runtime.call("CHECK", "a", configuration: check).process.succeeded()
    // With another MAC nothing passes, with its own everything. A pod without `macspoofchk` may use any MAC.
    try node.sh("ip -netns a link set eth0 address 02:00:00:00:00:66")
    #expect(try !node.ping(from: "a", "10.9.0.1", within: 2))
    let mac = try #require(answer.interfaces.last?["mac"]?.string)
    try node.sh("ip -netns a link set eth0 address \(mac); ip -netns b link set eth0 address 02:00:00:00:00:77")
    #expect(try node.ping(from: "a", "10.9.0.1") && node.ping(from: "b", "10.9.0.1"))
    try node.sh("nft flush set bridge causeway senders")
    #expect(try runtime.call("CHECK", "a", configuration: check).message.contains("holds"))
  }

  @Test(arguments: [true, false])
  func theRuleIsRemovedWithThePod(_ withRecord: Bool) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["macspoofchk": true])
    try node.addPod("a")
    try runtime.add("a", configuration)
    if !withRecord { try node.sh("rm -r /run/causeway") }
    try node.removePod("a")
    try runtime.call("DEL", nil, id: "a", configuration: configuration).process.succeeded()
    #expect(try elements(node) == [])
    #expect(try node.remains() == [])
  }

  @Test func gcAndFailedADDsLeaveNoRules() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    for pod in ["a", "b"] { try node.addPod(pod) }
    try runtime.add("a", runtime.configuration(["macspoofchk": true]))
    var bad = runtime.configuration(["macspoofchk": true])
    bad["ipam"] = ["ranges": runtime.ranges(.v4), "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.77"]]]
    #expect(try runtime.call("ADD", "b", configuration: bad).process.status == 1)
    #expect(try elements(node) == Array(repeating: "comment \"podnet:a:eth0\"", count: 2))
    try runtime.call("GC", nil, configuration: runtime.configuration(["cni.dev/valid-attachments": []])).process
      .succeeded()
    #expect(try elements(node) == [])
  }

  /// Saves and reloads the ruleset with `nft`, as administrators do.
  @Test func aSavedRulesetCanBeLoaded() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let configuration = runtime.configuration(["macspoofchk": true, "ipMasq": true])
    for pod in ["a", "b"] { try node.addPod(pod) }
    let answer = try runtime.add("a", configuration)
    let before = try node.sh("nft list ruleset | tee /run/rules")
    try node.sh("nft flush ruleset && nft -f /run/rules")
    #expect(try node.sh("nft list ruleset") == before)
    try runtime.check("a", answer, configuration: configuration).process.succeeded()
    try runtime.add("b", configuration)
    for pod in ["a", "b"] { try runtime.delete(pod, configuration) }
    #expect(try elements(node) == [])
  }
}
