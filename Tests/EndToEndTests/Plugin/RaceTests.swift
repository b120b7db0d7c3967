import JSON
import Testing
import TestSupport

/// Many processes at the same time on one new bridge. The reference's ADDs then fail with "file exists", spoil the
/// bridge's MAC or leave rules behind.
@Suite(.requiresRoot, .timeLimit(.minutes(2)))
struct RaceTests {
  struct Scene: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let subnets: [Subnet]
    var keys: JSONObject = [:]
    /// The preparation on the node.
    var script = ""
    /// Whether each process is delayed at each of its steps, so that they interleave.
    var isSlow = false
  }

  static let scenes = [
    Scene(testDescription: "IPv4", subnets: [.v4]), Scene(testDescription: "both families", subnets: [.v4, .v6]),
    Scene(
      testDescription: "both, with rules", subnets: [.v4, .v6], keys: ["ipMasq": true, "macspoofchk": true]),
    Scene(
      testDescription: "both, with rules, step by step", subnets: [.v4, .v6],
      keys: ["ipMasq": true, "macspoofchk": true], isSlow: true),
    Scene(
      testDescription: "on a bridge with a MAC of zeros", subnets: [.v4],
      script:
        "ip link add bridge0 type bridge && ip link add x master bridge0 type veth peer name y && ip link delete x",
      isSlow: true),
  ]

  private func runtime(isSlow: Bool) throws -> Runtime {
    var runtime = try Runtime.reference("bridge", "1.1.0")
    guard isSlow else { return runtime }
    // Delays each message to the kernel by two milliseconds.
    try runtime.node.sh(
      """
      printf '#!/bin/sh\\nexec strace -qqf -o /dev/null -e inject=sendto:delay_enter=2000 %s\\n' \(runtime.plugin) >/run/slow
      chmod +x /run/slow
      """)
    runtime.plugin = "/run/slow"
    return runtime
  }

  @Test(arguments: scenes) func manyFirstADDsShareOneNewBridge(_ scene: Scene) throws {
    let runtime = try runtime(isSlow: scene.isSlow)
    let node = runtime.node
    try node.sh(scene.script)
    let pods = try runtime.addPods(24)
    let configuration = runtime.bridgeConfiguration(scene.subnets, scene.keys)
    let answers = try runtime.callAtOnce(pods.map { Call(verb: "ADD", pod: $0, configuration: configuration) })
    for answer in answers { try #require(answer.process.status == 0, "\(answer)") }
    #expect(Set(answers.flatMap(\.addresses)).count == 24 * scene.subnets.count)

    // There is one bridge, and every answer has its MAC.
    let host = try node.view()
    #expect(host.links.count == 2 + 24)
    let mac = try #require(host["bridge0"]?["address"])
    #expect(answers.allSatisfy { $0.interfaces.first?["mac"] == mac })
    #expect(host.addresses("bridge0").sorted() == scene.subnets.map(\.gatewayAddress).sorted())
    for answer in answers {
      let port = try #require(answer.interfaces[1]["name"]?.string)
      #expect(host[port]?["address"] == answer.interfaces[1]["mac"] && host[port]?["master"]?.string == "bridge0")
    }
    if scene.keys["ipMasq"] != nil {
      let owners = try node.lines("nft list ruleset | grep -o 'comment \"testConfig:[^\"]*\"' | sort | uniq -c")
      // Two addresses, one port and one MAC.
      #expect(owners.count == 24 && owners.allSatisfy { $0.contains(" 4 comment") }, "\(owners)")
      #expect(try node.lines("nft list chain inet causeway_pods postrouting | grep vmap").count == 2)
    }
    for (pod, gateway) in zip(pods, scene.subnets.map(\.gateway)) { #expect(try node.ping(from: pod, gateway)) }

    // All CHECKs at once, then all DELs at once.
    let checks = zip(pods, answers).map { pod, answer in
      Call(verb: "CHECK", pod: pod, configuration: runtime.configuration(configuration, after: answer))
    }
    for answer in try runtime.callAtOnce(checks) { #expect(answer.process.status == 0, "\(answer)") }
    let deletions = try runtime.callAtOnce(pods.map { Call(verb: "DEL", pod: $0, configuration: configuration) })
    for answer in deletions { #expect(answer.process.status == 0, "\(answer)") }
    #expect(try node.remains() == [])
    #expect(try node.lines("nft list ruleset | grep comment || true") == [])
  }

  /// Checks that failing ADDs remove a bridge that they created, unless others use it.
  @Test(arguments: [false, true]) func failingFirstADDsHarmNoOther(_ isSlow: Bool) throws {
    let runtime = try runtime(isSlow: isSlow)
    let node = runtime.node
    let (good, bad) = try (runtime.addPods(12, "g"), runtime.addPods(12, "b"))
    let configuration = runtime.bridgeConfiguration([.v4])
    var failing = configuration
    failing["ipam"] = [
      "type": "host-local", "subnet": "10.1.2.0/24", "routes": [["dst": "10.50.0.0/16", "gw": "192.0.2.1"]],
    ]
    for round in 1...2 {
      let calls = zip(good, bad).flatMap { good, bad in
        [
          Call(verb: "ADD", pod: bad, configuration: failing),
          Call(verb: "ADD", pod: good, configuration: configuration),
        ]
      }
      let answers = try runtime.callAtOnce(calls)
      for (call, answer) in zip(calls, answers) {
        #expect((answer.process.status == 0) == good.contains(call.pod), "\(answer)")
      }
      let host = try node.view()
      #expect(host.addresses("bridge0") == [Subnet.v4.gatewayAddress])
      #expect(host.links.filter { $0["master"]?.string == "bridge0" }.count == 12)
      let mac = host["bridge0"]?["address"]
      for answer in answers where answer.process.status == 0 { #expect(answer.interfaces.first?["mac"] == mac) }
      #expect(try node.ping(from: "g\(round)", "10.1.2.1"))
      let deletions = (good + bad).map { Call(verb: "DEL", pod: $0, configuration: configuration) }
      for answer in try runtime.callAtOnce(deletions) { #expect(answer.process.status == 0, "\(answer)") }
      #expect(try node.remains() == [])
      try node.ip("link", "delete", "bridge0")
    }
  }

  /// Adds pods while others are deleted.
  @Test(arguments: [false, true]) func addsAndDeletesAtOnce(_ isSlow: Bool) throws {
    let runtime = try runtime(isSlow: isSlow)
    let node = runtime.node
    let (even, odd) = try (runtime.addPods(12, "e"), runtime.addPods(12, "o"))
    let configuration = runtime.bridgeConfiguration([.v4], ["ipMasq": true])
    func calls(_ verb: String, _ pods: [String]) -> [Call] {
      pods.map { Call(verb: verb, pod: $0, configuration: configuration) }
    }
    for answer in try runtime.callAtOnce(calls("ADD", even)) { #expect(answer.process.status == 0, "\(answer)") }
    for (added, deleted) in [(odd, even), (even, odd)] {
      let mixed = zip(calls("ADD", added), calls("DEL", deleted)).flatMap { [$0, $1] }
      for answer in try runtime.callAtOnce(mixed) { #expect(answer.process.status == 0, "\(answer)") }
      #expect(try node.hostVeths().count == 12 && node.leases().count == 12)
      #expect(
        try node.lines("nft list map inet causeway_pods masquerade4 | grep -o '10.1.2.[0-9]* comment'").count == 12)
    }
  }
}
