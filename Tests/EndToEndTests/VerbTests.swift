import JSON
import Testing
import TestSupport

/// CHECK, GC, STATUS and VERSION, through the shipped plugin.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct VerbTests {
  @Test func versionNeedsNothing() throws {
    let node = try TestNode()
    let process = try node.run([Binaries.causeway], environment: ["CNI_COMMAND": "VERSION"])
    #expect(
      process.output == """
        {"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}

        """)
  }

  @Test func withoutCommandItSaysWhatItIs() throws {
    let node = try TestNode()
    let process = try node.run([Binaries.causeway])
    #expect(process.status == 0 && process.output.isEmpty)
    #expect(process.errors.contains("CNI protocol versions supported: 0.1.0, 0.2.0,"))
  }

  // MARK: CHECK

  @Test func checkIsContentWithWhatADDMade() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let answer = try runtime.add("a")
    let configuration = runtime.configuration(["prevResult": .object(try #require(answer.json))])
    try runtime.call("CHECK", "a", configuration).process.succeeded()
    // What others do is not ours to judge.
    try node.sh("ip link set cni0 promisc on && ip -netns a route add 10.77.0.0/16 via 10.9.0.1")
    try runtime.call("CHECK", "a", configuration).process.succeeded()
  }

  @Test(arguments: [
    ("ip -netns a link set eth0 down", "down"),
    ("ip -netns a address flush dev eth0 scope global", "has lost its address"),
    ("ip -netns a route del default", "has lost its route to 0.0.0.0/0"),
    ("ip -netns a link set eth0 address 02:00:00:00:00:99", "the MAC of \"eth0\""),
    ("ip -netns a link del eth0", "has no interface \"eth0\""),
    (
      "ip -o link show type veth | while read -r _ port _; do ip link set ${port%%@*} nomaster; done",
      "is not a port of"
    ),
    ("ip address flush dev cni0 scope global", "has lost the gateway's address"),
    ("rm /var/lib/cni/networks/podnet/*9*2", "belongs to the container"),
  ])
  func checkFinds(_ fault: String, _ message: String) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let answer = try runtime.add("a")
    try node.sh(fault)
    let check = try runtime.call(
      "CHECK", "a", runtime.configuration(["prevResult": .object(try #require(answer.json))]))
    #expect(check.process.status == 1)
    #expect(check.code == 100 && check.message.contains(message), "\(check)")
  }

  @Test func checkNeedsAPreviousResult() throws {
    let node = try TestNode()
    try node.addPod("a")
    let runtime = Runtime(node: node)
    #expect(try runtime.call("CHECK", "a", runtime.configuration()).message.contains("Required prevResult missing"))
  }

  // MARK: GC

  @Test(arguments: ["cni.dev/valid-attachments", "cni.dev/attachments"])
  func gcFreesExactlyWhatIsNotInTheList(_ key: String) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    for pod in ["a", "b", "c"] { try node.addPod(pod) }
    for pod in ["a", "b"] { try runtime.add(pod) }
    let other = runtime.configuration(
      ["bridge": "cni1", "ipam": ["ranges": [[["subnet": "10.8.0.0/24"]]]]], name: "other")
    try runtime.add("c", other)
    var configuration = runtime.configuration()
    configuration[key] = [["containerID": "b", "ifname": "eth0"]]
    try runtime.call("GC", nil, configuration).process.succeeded()
    #expect(
      Set(try node.leases()) == [
        "/var/lib/cni/networks/podnet/10.9.0.3", "/var/lib/cni/networks/podnet/fd00:9::3",
        "/var/lib/cni/networks/other/10.8.0.2",
      ])
    #expect(try node.cables().count == 2)
    #expect(
      Set(try node.records()) == [
        "/run/causeway/attachments/podnet:b:eth0", "/run/causeway/attachments/other:c:eth0",
      ])
    #expect(try node.ping(from: "b", "10.9.0.1") && node.ping(from: "c", "10.8.0.1"))
  }

  @Test(arguments: [([], 0), (.null, 0), (nil, 2)] as [(JSONValue?, Int)])
  func gcTellsNoneValidFromNotSaid(_ list: JSONValue?, _ left: Int) throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add("a")
    var configuration = runtime.configuration()
    configuration["cni.dev/valid-attachments"] = list
    try runtime.call("GC", nil, configuration).process.succeeded()
    #expect(try node.leases().count == left)
    #expect(try node.cables().count == left / 2)
  }

  @Test func gcFreesWhatTheRecordsNameInOtherDataDirectories() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    try runtime.add(
      "a", runtime.configuration(["ipam": ["ranges": runtime.ranges(.v4), "dataDir": "/var/lib/cni/elsewhere"]]))
    try runtime.call("GC", nil, runtime.configuration(["cni.dev/valid-attachments": []])).process.succeeded()
    #expect(try node.lines("find /var/lib/cni/elsewhere -name '10.*'") == [])
    #expect(try node.remains() == [])
  }

  /// What ADD leaves that is killed before it could put its mark on the cable.
  @Test func gcFindsACableWithoutItsMark() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.addPod("a")
    let port = try #require(try runtime.add("a").interfaces[1]["name"]?.string)
    try node.sh("ip link set \(port) alias ''")
    try runtime.call("GC", nil, runtime.configuration(["cni.dev/valid-attachments": []])).process.succeeded()
    #expect(try node.remains() == [])
  }

  // MARK: STATUS

  @Test func statusIsWellWithRanges() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let answer = try runtime.call("STATUS", nil, runtime.configuration())
    try answer.process.succeeded()
    #expect(answer.process.output.isEmpty)
  }

  @Test func statusTellsThatNoLeaseCanBeWritten() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.sh("mkdir /run/locked && mount -t tmpfs -o ro tmpfs /run/locked")
    for directory in ["/run/locked", "/run/locked/networks"] {
      let answer = try runtime.call(
        "STATUS", nil,
        runtime.configuration(["ipam": ["ranges": runtime.ranges(.v4), "dataDir": .string(directory)]]))
      #expect(answer.code == 50 && answer.message.contains("ipam.dataDir cannot be written"), "\(answer)")
    }
  }

  @Test func statusSaysWhatToDoWithoutALease() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let answer = try runtime.call("STATUS", nil, runtime.configuration(["ipam": [:]]))
    #expect(answer.code == 50 && answer.message.contains("causeway-hostgw run"), "\(answer)")
    try node.addPod("a")
    let add = try runtime.call("ADD", "a", runtime.configuration(["ipam": [:]]))
    #expect(add.code == 11 && add.message.contains("causeway-hostgw run"), "\(add)")
    #expect(try node.remains() == [])
  }

  @Test(arguments: [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")])
  func verbsHaveTheirFirstVersion(_ verb: String, _ version: String) throws {
    let node = try TestNode()
    try node.addPod("a")
    var runtime = Runtime(node: node)
    runtime.version = version
    let answer = try runtime.call(verb, "a", runtime.configuration())
    #expect(answer.code == 1 && answer.message.contains("config version does not allow \(verb)"), "\(answer)")
  }
}
