import CNI
import Testing

@Suite struct ArgumentsTests {
  private func arguments(_ text: String) throws(CNIError) -> Arguments {
    try Arguments(text, known: ["MAC", "IP"])
  }

  @Test func pairsAreSplit() throws {
    let arguments = try arguments("IP=10.1.0.5/16;MAC=0a:58:0a:01:00:05")
    #expect(arguments["IP"] == "10.1.0.5/16")
    #expect(arguments["MAC"] == "0a:58:0a:01:00:05")
    #expect(arguments["K8S_POD_NAME"] == nil)
    #expect(arguments["mac"] == nil)
  }

  @Test func emptyTextsAndTrailingSemicolonsAreAccepted() throws {
    #expect(try arguments("") == arguments(";"))
    #expect(try arguments("MAC=a;") == arguments("MAC=a"))
    #expect(try arguments("MAC=")["MAC"] == "")
  }

  /// containerd sends IgnoreUnknown and keys of its own.
  @Test(arguments: ["1", "true", "True"]) func ignoreUnknownAcceptsUnknownKeys(_ spelling: String) throws {
    let arguments = try arguments("K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;IgnoreUnknown=\(spelling);IP=10.1.0.5")
    #expect(arguments["IP"] == "10.1.0.5")
    #expect(arguments["K8S_POD_NAME"] == "web")
  }

  @Test(arguments: [
    ("COLOUR=red", "CNI_ARGS: unknown args [\"COLOUR=red\"]"),
    ("Z=1;COLOUR=red;IP=10.1.0.5", "CNI_ARGS: unknown args [\"COLOUR=red\" \"Z=1\"]"),
    ("COLOUR=red;IgnoreUnknown=0", "CNI_ARGS: unknown args [\"COLOUR=red\"]"),
    ("COLOUR=red;IgnoreUnknown=false", "CNI_ARGS: unknown args [\"COLOUR=red\"]"),
    ("mac=x", "CNI_ARGS: unknown args [\"mac=x\"]"),
    ("IgnoreUnknown=yes", "CNI_ARGS: IgnoreUnknown must be true or false, but is \"yes\""),
    ("IgnoreUnknown=TRUE", "CNI_ARGS: IgnoreUnknown must be true or false, but is \"TRUE\""),
    ("MAC", "CNI_ARGS: invalid pair \"MAC\"; a pair is written KEY=VALUE"),
    ("MAC=a=b", "CNI_ARGS: invalid pair \"MAC=a=b\"; a pair is written KEY=VALUE"),
    ("=a", "CNI_ARGS: invalid pair \"=a\"; a pair is written KEY=VALUE"),
    ("IgnoreUnknown=1;MAC", "CNI_ARGS: invalid pair \"MAC\"; a pair is written KEY=VALUE"),
  ])
  func errorsNameThePair(text: String, message: String) {
    #expect(thrown { _ = try arguments(text) } == CNIError(.invalidEnvironment, message))
  }
}
