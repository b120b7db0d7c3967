import Addresses
import Attachments
import Netfilter
import Testing
import TestSupport

@testable import PodRules

/// Per-pod rules in a kernel: a verb that was killed between two transactions leaves elements without their link's.
@Suite(.requiresRoot) struct PodRuleTests {
  private let node: TestNode
  private let pod: RuledPod

  init() throws {
    node = try TestNode()
    pod = RuledPod(
      Attachment(network: "podnet", containerID: "a", interfaceName: "eth0"), link: "veth1",
      mac: MACAddress("02:00:00:00:00:01"), addresses: [try #require(IPAddress("10.244.1.2"))])
  }

  private func run(_ body: (inout NetfilterSocket) throws -> Void) throws {
    var netfilter = try NetfilterSocket(in: node.namespace())
    try body(&netfilter)
  }

  private func countElements(of rule: PodRule) throws -> Int {
    let sets = [rule.links].compactMap { $0 } + rule.sets
    var netfilter = try NetfilterSocket(in: node.namespace())
    return try sets.reduce(0) { try $0 + netfilter.elements(of: $1).count }
  }

  private func removeLinkElement(of rule: PodRule) throws {
    guard let links = rule.links else { return }
    try run { try $0.commit([.removeElement(SetKey.bytes(ofLink: pod.link), from: links)]) }
  }

  @Test(arguments: PodRule.all.indices)
  func removeFindsElementsWithoutTheirLink(_ index: Int) throws {
    let rule = PodRule.all[index]
    try run { try rule.add(pod, &$0) }
    #expect(try countElements(of: rule) > 0)
    try removeLinkElement(of: rule)
    try run { try rule.remove(pod, &$0) }
    #expect(try countElements(of: rule) == 0)
  }

  @Test(arguments: PodRule.all.indices)
  func addReplacesElementsWithoutTheirLink(_ index: Int) throws {
    let rule = PodRule.all[index]
    try run { try rule.add(pod, &$0) }
    let count = try countElements(of: rule)
    try removeLinkElement(of: rule)
    try run { try rule.add(pod, &$0) }
    #expect(try countElements(of: rule) == count)
    try run { netfilter in
      let missing = try rule.firstMissing(pod, &netfilter)
      #expect(missing == nil)
    }
  }
}
