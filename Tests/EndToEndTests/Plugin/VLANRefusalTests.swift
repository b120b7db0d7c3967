import JSON
import Testing
import TestSupport

/// Unsupported VLANs are refused, and nothing is left of the ADD.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct VLANRefusalTests {
  @Test(arguments: [["vlan": 100], ["vlanTrunk": [["id": 7]], "vlan": 0]] as [JSONObject])
  func aKernelWithoutVLANFilteringIsReported(_ keys: JSONObject) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let kernelFilters = try node.run(["ip", "link", "add", "name", "probe", "type", "bridge", "vlan_filtering", "1"])
    let answer = try runtime.call("ADD", "a", configuration: runtime.configuration(keys))
    guard kernelFilters.status != 0 else {
      try answer.process.succeeded()
      return
    }
    #expect(answer.code == 2, "\(answer)")
    let key = keys["vlan"] == 100 ? "vlan = 100" : "vlanTrunk = a list"
    #expect(answer.message.hasPrefix("\(key) is not supported"), "\(answer)")
    #expect(answer.message.contains("CONFIG_BRIDGE_VLAN_FILTERING"), "\(answer)")
    #expect(try node.remains() == [])
    #expect(try node.run(["ip", "link", "show", "cni0"]).status != 0, "the bridge of the failed ADD is still there")
    // An empty trunk needs filtering too; a configuration without VLANs does not.
    #expect(try runtime.call("ADD", "a", configuration: runtime.configuration(["vlanTrunk": []])).code == 2)
    try runtime.add("a", runtime.configuration(["vlan": 0, "vlanTrunk": .null]))
  }

  @Test func aTooLongGatewayNameIsRefusedBeforeAnyChange() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let answer = try runtime.call(
      "ADD", "a", configuration: runtime.configuration(["bridge": "bridge-of-many", "vlan": 10]))
    #expect(answer.code == 7, "\(answer)")
    #expect(answer.message.contains("vlan 10 on bridge \"bridge-of-many\""), "\(answer)")
    #expect(try node.remains() == [] && node.lines("ls /run/causeway 2>/dev/null || true") == [])
    #expect(try node.ip(json: "link", "show").map { $0["ifname"]?.string } == ["lo"])
  }
}
