import JSON
import Testing
import TestSupport

/// STATUS succeeds if an ADD could succeed.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct StatusTests {
  @Test func statusSucceedsWithRanges() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let answer = try runtime.call("STATUS", nil, configuration: runtime.configuration())
    try answer.process.succeeded()
    #expect(answer.process.output.isEmpty)
  }

  @Test func statusReportsAnUnwritableDataDirectory() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    try node.sh("mkdir /run/locked && mount -t tmpfs -o ro tmpfs /run/locked")
    for directory in ["/run/locked", "/run/locked/networks"] {
      let answer = try runtime.call(
        "STATUS", nil,
        configuration: runtime.configuration(["ipam": ["ranges": runtime.ranges(.v4), "dataDir": .string(directory)]]))
      #expect(answer.code == 50 && answer.message.contains("ipam.dataDir cannot be written"), "\(answer)")
    }
  }

  @Test func statusNamesTheRemedyForAMissingLease() throws {
    let node = try TestNode()
    let runtime = Runtime(node: node)
    let answer = try runtime.call("STATUS", nil, configuration: runtime.configuration(["ipam": [:]]))
    #expect(answer.code == 50 && answer.message.contains("causeway-hostgw run"), "\(answer)")
    try node.addPod("a")
    let add = try runtime.call("ADD", "a", configuration: runtime.configuration(["ipam": [:]]))
    #expect(add.code == 11 && add.message.contains("causeway-hostgw run"), "\(add)")
    #expect(try node.remains() == [])
  }
}
