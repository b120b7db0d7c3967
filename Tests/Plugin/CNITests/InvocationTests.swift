import CNI
import Testing
import TestSupport

@Suite struct InvocationTests {
  private static let good = [
    "CNI_CONTAINERID": "c1", "CNI_NETNS": "/run/netns/c1", "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin",
  ]

  private func invocation(_ environment: [String: String]) throws(CNIError) -> Invocation {
    try Invocation { environment[$0] }
  }

  /// An invocation with all variables set, except for `changes`; an empty text counts as not set.
  private func invocation(_ verb: String, _ changes: [String: String] = [:]) throws(CNIError) -> Invocation {
    try invocation(InvocationTests.good.merging(changes) { $1 }.merging(["CNI_COMMAND": verb]) { $1 })
  }

  @Test(arguments: Verb.allCases) func everyVerbAcceptsACompleteEnvironment(_ verb: Verb) throws {
    let invocation = try invocation(verb.rawValue, ["CNI_ARGS": "MAC=x", "CNI_PATH": "/a:/b::/c"])
    #expect(invocation.verb == verb)
    #expect(invocation.containerID == "c1")
    #expect(invocation.namespacePath == "/run/netns/c1")
    #expect(invocation.interfaceName == "eth0")
    #expect(invocation.arguments == "MAC=x")
    #expect(invocation.searchPath == ["/a", "/b", "/c"])
    #expect(!invocation.allowsOwnNamespace)
  }

  /// The table of the reference library: the variables that each verb requires, named together and in its order.
  @Test(arguments: [
    ("ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
    ("CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"),
    ("DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"), ("GC", "CNI_PATH"), ("STATUS", "CNI_PATH"),
  ])
  func missingVariablesAreNamedTogether(verb: String, names: String) {
    let expected = CNIError(.invalidEnvironment, "required env variables [\(names)] missing")
    #expect(thrown { _ = try invocation(["CNI_COMMAND": verb]) } == expected)
    for name in names.split(separator: ",").map(String.init) {
      #expect(
        thrown { _ = try invocation(verb, [name: ""]) }
          == CNIError(.invalidEnvironment, "required env variables [\(name)] missing"))
    }
  }

  @Test func versionNeedsNothing() throws {
    #expect(try invocation(["CNI_COMMAND": "VERSION"]).searchPath == [])
  }

  @Test func deleteNeedsNoNamespace() throws {
    #expect(try invocation("DEL", ["CNI_NETNS": ""]).namespacePath == "")
  }

  @Test(arguments: ["add", "ADD ", "UPDATE"]) func anUnknownVerbIsNamed(_ verb: String) {
    #expect(
      thrown { _ = try invocation(verb) } == CNIError(.invalidEnvironment, "unknown CNI_COMMAND: \(verb)"))
  }

  @Test func anEmptyVerbIsMissing() {
    #expect(
      thrown { _ = try invocation([:]) }
        == CNIError(.invalidEnvironment, "required env variables [CNI_COMMAND] missing"))
  }

  /// With several errors, the ID's value is reported first, then the interface's, then missing variables.
  @Test func invalidValuesAreReportedBeforeMissingOnes() {
    let id = CNIError(.invalidEnvironment, "invalid characters in containerID", details: "../x")
    let name = CNIError(.invalidEnvironment, "interface name is . or ..")
    #expect(
      thrown { _ = try invocation("ADD", ["CNI_CONTAINERID": "../x", "CNI_IFNAME": "..", "CNI_PATH": ""]) } == id)
    #expect(thrown { _ = try invocation("ADD", ["CNI_CONTAINERID": "", "CNI_IFNAME": "..", "CNI_NETNS": ""]) } == name)
  }

  @Test(arguments: ["GC", "STATUS", "VERSION"]) func valuesThatAVerbDoesNotNeedAreNotChecked(_ verb: String) throws {
    _ = try invocation(verb, ["CNI_CONTAINERID": "../x", "CNI_IFNAME": "a/b", "CNI_NETNS": ""])
  }

  @Test(arguments: [
    ("true", true), ("TRUE", true), ("True", true), ("1", true), ("", false), ("false", false), ("0", false),
    ("yes", false), ("2", false), (" true", false),
  ])
  func overrideIsTrueOrOne(text: String, expected: Bool) throws {
    #expect(try invocation("ADD", ["CNI_NETNS_OVERRIDE": text]).allowsOwnNamespace == expected)
  }
}
