import CNI
import Testing

/// Names become parts of paths, aliases and link names: accepted names are used unchanged.
@Suite struct NameTests {
  @Test(arguments: ["a", "Z", "0", "a.b", "a_b", "a-b", "10.77.0.2", "c0ffee", "a..", "k8s_POD_x.y-z"])
  func lettersDigitsDotsUnderscoresAndHyphensAreValid(_ name: String) throws {
    #expect(Name.isValid(name))
    try Name.checkContainerID(name)
  }

  @Test(arguments: [
    "", ".", "..", "-a", "_a", ".a", "a/b", "../a", "a b", " a", "a\n", "a:b", "a\u{0}b", "é", "a\u{301}", "\u{FF41}",
    "a;b", "a%b",
  ])
  func otherNamesAreInvalid(_ name: String) {
    #expect(!Name.isValid(name))
    #expect(
      thrown { try Name.checkContainerID(name) }
        == CNIError(.invalidEnvironment, "invalid characters in containerID", details: name))
  }

  @Test(arguments: ["eth0", "a", "...", "exactly15bytes_", "net1.100", "wlp0s20f3", "é", "-", "eth0@x"])
  func interfaceNamesOfTheKernelAreValid(_ name: String) throws {
    try Name.checkInterface(name)
  }

  @Test(arguments: [
    ("", "interface name is empty"), ("sixteen_bytes_xx", "interface name is too long"),
    ("éééééééé", "interface name is too long"), (".", "interface name is . or .."), ("..", "interface name is . or .."),
    ("a/b", "interface name contains / or : or whitespace characters"),
    ("a:b", "interface name contains / or : or whitespace characters"),
    ("a b", "interface name contains / or : or whitespace characters"),
    ("a\tb", "interface name contains / or : or whitespace characters"),
    ("a\n", "interface name contains / or : or whitespace characters"),
    ("a\u{A0}b", "interface name contains / or : or whitespace characters"),
    ("a\u{3000}b", "interface name contains / or : or whitespace characters"),
    // A slash with a combining mark is another character, but the same byte.
    ("a/\u{301}b", "interface name contains / or : or whitespace characters"),
    ("a:\u{301}b", "interface name contains / or : or whitespace characters"),
    ("a\u{200D} b", "interface name contains / or : or whitespace characters"),
    // The kernel would replace eth%d by the next free name and refuse 100%.
    ("eth%d", "interface name contains %, which the kernel takes for a pattern"),
    ("100%", "interface name contains %, which the kernel takes for a pattern"),
  ])
  func invalidInterfaceNamesAreRefusedWithTheReason(name: String, message: String) throws {
    let error = try #require(thrown { try Name.checkInterface(name) })
    #expect(error.code == .invalidEnvironment)
    #expect(error.message == message)
  }
}
