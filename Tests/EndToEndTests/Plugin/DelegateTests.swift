import JSON
import Testing
import TestSupport

/// IPAM by another plugin: when it is called, its input, and how its results are used.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct DelegateTests {
  /// An IPAM plugin that logs each call with its input and environment, and answers with `/run/result`.
  private struct Recorder {
    let runtime: Runtime
    var node: TestNode { runtime.node }

    init(_ version: String, result: JSONObject = Recorder.result("1.0.0")) throws {
      var runtime = try Runtime.reference("bridge", version)
      runtime.searchPath = "/run/first:/opt/cni/bin"
      self.runtime = runtime
      try answer(result)
      try node.run(
        ["/bin/sh", "-c", "cat >/opt/cni/bin/recorder && chmod +x /opt/cni/bin/recorder"], input: Self.script
      )
      .succeeded()
    }

    /// Logs the input, the environment, the state of the bridge's port and the pod's end.
    private static let script = """
      #!/bin/sh
      cat >/run/input.$CNI_COMMAND
      env | grep ^CNI_ | sort >/run/environment.$CNI_COMMAND
      link=$([ -z "$CNI_NETNS" ] || nsenter --net=$CNI_NETNS ip -br address show eth0 2>/dev/null | tr -s ' ' | cut -d' ' -f 2-)
      port=$(bridge -json link | grep -o '"state":"[a-z]*"' | head -n 1)
      echo "$CNI_COMMAND $port ${link:-no link}" >>/run/calls
      echo "words of the recorder" >&2
      [ "$CNI_COMMAND" != ADD ] || cat /run/result
      [ ! -e /run/status ] || exit $(cat /run/status)
      """

    /// A result of an IPAM plugin in a version's shape, with an interface that causeway must ignore.
    static func result(_ version: String) -> JSONObject {
      let dns: JSONValue = ["nameservers": ["192.0.2.53"], "domain": "example.com"]
      let routes: JSONValue = [["dst": "10.60.0.0/16", "gw": "10.1.2.9"]]
      if version < "0.3.0" {
        return [
          "cniVersion": .string(version), "dns": dns,
          "ip4": ["ip": "10.1.2.7/24", "gateway": "10.1.2.1", "routes": routes],
          "ip6": ["ip": "2001:db8:1::7/64", "gateway": "2001:db8:1::1"],
        ]
      }
      let v6: JSONObject = ["version": "6", "address": "2001:db8:1::7/64", "gateway": "2001:db8:1::1"]
      return [
        "cniVersion": .string(version), "routes": routes, "dns": dns, "interfaces": [["name": "none", "mac": ""]],
        "ips": [
          ["version": "4", "address": "10.1.2.7/24", "gateway": "10.1.2.1", "interface": 0], .object(v6),
        ],
      ]
    }

    func answer(_ result: JSONObject) throws {
      let text = try JSONValue.object(result).text()
      try node.run(["/bin/sh", "-c", "cat >/run/result"], input: text).succeeded()
    }

    func configuration(_ keys: JSONObject = [:]) -> JSONObject {
      var configuration = runtime.bridgeConfiguration([], ["ipam": ["type": "recorder", "colour": ["red", 5]]])
      for member in keys.members { configuration[member.name] = member.value }
      return configuration
    }

    func calls() throws -> [String] { try node.lines("cat /run/calls 2>/dev/null; rm -f /run/calls") }

    func input(_ verb: String) throws -> JSONObject? {
      try JSONValue(parsing: Array(node.sh("cat /run/input.\(verb)").utf8)).object
    }

    func environment(_ verb: String) throws -> [String] { try node.lines("cat /run/environment.\(verb)") }
  }

  // MARK: Order and input

  @Test func eachVerbIsPassedOnInOrder() throws {
    let recorder = try Recorder("1.1.0")
    let (node, runtime) = (recorder.node, recorder.runtime)
    try node.addPod("a")
    let configuration = recorder.configuration([
      "runtimeConfig": ["ips": ["10.1.2.7"]], "args": ["cni": ["colour": "blue"]], "dns": [:],
    ])
    let arguments = "IgnoreUnknown=1;K8S_POD_NAME=web"
    let answer = try runtime.add("a", arguments: arguments, configuration)
    #expect(answer.process.errors.contains("words of the recorder"))
    // The veth pair carries frames for the plugin's requests, and has no addresses but link-local ones.
    let added = try recorder.calls()
    #expect(added.count == 1 && added[0].hasPrefix("ADD \"state\":\"forwarding\" UP"), "\(added)")
    #expect(!added[0].contains("10.1.2.7"))
    #expect(try recorder.input("ADD") == configuration)
    #expect(
      try recorder.environment("ADD") == [
        "CNI_ARGS=\(arguments)", "CNI_COMMAND=ADD", "CNI_CONTAINERID=a", "CNI_IFNAME=eth0", "CNI_NETNS=/run/netns/a",
        "CNI_PATH=/run/first:/opt/cni/bin",
      ])

    let later = runtime.configuration(configuration, after: answer)
    try runtime.call("CHECK", "a", configuration: later).process.succeeded()
    try runtime.call("STATUS", nil, configuration: configuration).process.succeeded()
    try runtime.collect(keeping: ["a"], configuration)
    #expect(try recorder.calls().map { $0.prefix { $0 != " " } } == ["CHECK", "STATUS", "GC"])
    #expect(try recorder.input("CHECK") == later)
    #expect(try recorder.input("GC")?["cni.dev/valid-attachments"] == [["containerID": "a", "ifname": "eth0"]])
    #expect(try recorder.environment("STATUS").contains("CNI_COMMAND=STATUS"))

    // DEL calls the plugin while the veth pair still has its addresses.
    try runtime.delete("a", later)
    let deleted = try recorder.calls()
    #expect(deleted.count == 1 && deleted[0].hasPrefix("DEL \"state\":\"forwarding\" UP"), "\(deleted)")
    #expect(deleted[0].contains("10.1.2.7/24 2001:db8:1::7/64"))
    #expect(try recorder.input("DEL") == later)
    #expect(try node.remains() == [])
    // DEL also calls it if the namespace is gone.
    try runtime.call("DEL", nil, id: "a", configuration: later).process.succeeded()
    #expect(try recorder.calls() == ["DEL  no link"])
  }

  /// Checks that a failure after IPAM calls its DEL before the veth pair is removed.
  @Test func aLaterFailureReleasesTheAddress() throws {
    var result = Recorder.result("1.0.0")
    result["routes"] = [["dst": "10.50.0.0/16", "gw": "192.0.2.1"]]
    let recorder = try Recorder("1.0.0", result: result)
    try recorder.node.addPod("a")
    let answer = try recorder.runtime.call("ADD", "a", configuration: recorder.configuration())
    #expect(answer.process.status == 1 && answer.message.contains("10.50.0.0/16"), "\(answer)")
    #expect(try recorder.calls().map { $0.prefix { $0 != " " } } == ["ADD", "DEL"])
    #expect(try recorder.node.view().links.count == 1)
    #expect(try recorder.node.remains() == [])
  }

  // MARK: Answers

  @Test(arguments: Runtime.versions) func theResultIsReadInItsOwnVersion(_ version: String) throws {
    let recorder = try Recorder(version)
    let (node, runtime) = (recorder.node, recorder.runtime)
    let configuration = recorder.configuration(["isDefaultGateway": false, "isGateway": true])
    // Results in the configuration's version, with and without `cniVersion`, and in older and newer versions.
    var unversioned = Recorder.result(version)
    unversioned["cniVersion"] = nil
    let answers = [Recorder.result(version), unversioned, Recorder.result("0.2.0"), Recorder.result("1.0.0")]
    for (index, result) in answers.enumerated() {
      let pod = "p\(index)"
      try node.addPod(pod)
      try recorder.answer(result)
      let answer = try runtime.add(pod, configuration)
      #expect(answer.json?["cniVersion"]?.string == version)
      #expect(answer.addresses == ["10.1.2.7/24", "2001:db8:1::7/64"])
      #expect(answer.json?["dns"] == ["nameservers": ["192.0.2.53"], "domain": "example.com"])
      if version >= "0.3.0" {
        #expect(answer.interfaces.count == 3)
        let ips = answer.json?["ips"]?.array?.compactMap(\.object) ?? []
        #expect(ips.allSatisfy { $0["interface"] == 2 })
        #expect(answer.json?["routes"] == [["dst": "10.60.0.0/16", "gw": "10.1.2.9"]])
      }
      #expect(try node.addresses("eth0", inPod: pod) == ["10.1.2.7/24", "2001:db8:1::7/64"])
      #expect(try node.ip(json: "route", "show", "10.60.0.0/16", inPod: pod).first?["gateway"]?.string == "10.1.2.9")
      try runtime.delete(pod, configuration)
    }
    #expect(try node.remains() == [])
  }

  /// An invalid answer. ADD fails, calls the plugin's DEL and leaves nothing.
  struct Broken: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The preparation on the node before ADD.
    let script: String
    let code: Int64
    let message: String
  }

  static let broken = [
    Broken(
      testDescription: "no address", script: "echo '{\"cniVersion\": \"1.0.0\", \"ips\": []}' >/run/result", code: 999,
      message: "IPAM plugin returned missing IP config"),
    Broken(
      testDescription: "nothing", script: ": >/run/result", code: 6,
      message: "cannot read the result of the IPAM plugin \"recorder\""),
    Broken(
      testDescription: "no JSON", script: "echo hello >/run/result", code: 6,
      message: "cannot read the result of the IPAM plugin \"recorder\""),
    Broken(
      testDescription: "another kind of JSON", script: "echo '[]' >/run/result", code: 6,
      message: "it must be a JSON object, but is an array"),
    Broken(
      testDescription: "a bad address", script: "echo '{\"ips\": [{\"address\": \"10.1.2.300/24\"}]}' >/run/result",
      code: 6, message: "ips[0].address must be an address with a prefix length"),
    Broken(
      testDescription: "an error", script: "echo '{\"code\": 11, \"msg\": \"full\"}' >/run/result; echo 1 >/run/status",
      code: 11, message: "full"),
    Broken(
      testDescription: "a failure without output", script: ": >/run/result; echo 3 >/run/status", code: 999,
      message: "netplugin failed: recorder ended with 3"),
  ]

  @Test(arguments: broken) func anInvalidAnswerLeavesNothing(_ broken: Broken) throws {
    let recorder = try Recorder("1.0.0")
    try recorder.node.addPod("a")
    try recorder.node.sh(broken.script)
    let answer = try recorder.runtime.call("ADD", "a", configuration: recorder.configuration())
    #expect(
      answer.process.status == 1 && answer.code == broken.code && answer.message.contains(broken.message), "\(answer)")
    #expect(try recorder.calls().map { $0.prefix { $0 != " " } } == ["ADD", "DEL"])
    #expect(try recorder.node.view().links.count == 1 && recorder.node.remains() == [])
  }

  // MARK: The program

  @Test func theFirstExecutableOfTheNameInThePathIsRun() throws {
    let recorder = try Recorder("1.0.0")
    let (node, configuration) = (recorder.node, recorder.configuration())
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    // Files that are not executable and directories are skipped.
    try node.sh(
      "mkdir -p /run/first /run/second/recorder && cp /opt/cni/bin/recorder /run/first/ && chmod -x /run/first/recorder"
    )
    var runtime = recorder.runtime
    runtime.searchPath = "/run/none:/run/first:/run/second:/opt/cni/bin"
    try runtime.add("a", configuration)
    try node.sh("sed -i 's|/run/calls|/run/others|' /run/first/recorder && chmod +x /run/first/recorder; rm /run/calls")
    try runtime.add("b", configuration)
    #expect(try node.lines("wc -l </run/others; ls /run/calls 2>/dev/null || true") == ["1"])
    runtime.searchPath = "/run/none:/run/second"
    let missing = try runtime.call("ADD", "c", configuration: configuration)
    let words = "failed to find plugin \"recorder\" in path [/run/none /run/second]"
    #expect(missing.code == 7 && missing.message.hasPrefix(words), "\(missing)")
    // DEL has no plugin to call then, and frees everything else.
    for pod in ["a", "b"] { try runtime.delete(pod, configuration) }
    #expect(try node.remains() == [])
  }

  /// Holds the program open for writing, so that the kernel refuses to execute it (ETXTBSY).
  @Test func addWaitsForAProgramThatIsBeingInstalled() throws {
    let recorder = try Recorder("1.0.0")
    try recorder.node.addPod("a")
    let writer = try recorder.node.start([
      "/bin/bash", "-c", "exec 3>>/opt/cni/bin/recorder; echo writing; sleep 0.5",
    ])
    #expect(eventually { writer.output == "writing\n" })
    try recorder.runtime.add("a", recorder.configuration())
    #expect(try writer.exitStatus() == 0)
  }
}
