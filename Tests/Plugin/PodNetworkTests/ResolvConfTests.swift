import CNI
import Linux
@testable import PodNetwork
import Testing
import TestSupport

@Suite struct ResolvConfTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func dns(_ text: String) throws -> DNS {
    let path = directory.file("resolv.conf")
    try Files.write(path, Array(text.utf8))
    return try DNS(resolvConf: path)
  }

  @Test func valuesAreJoinedAndTheLastDomainIsUsed() throws {
    let dns = try dns(
      """
      nameserver 10.0.0.1
      nameserver\tfd00::1 ignored
      domain first
      domain second
      search a b
      search c
      options ndots:5 timeout:1
      options rotate
      """)
    #expect(dns.nameservers == ["10.0.0.1", "fd00::1"])
    #expect(dns.domain == "second")
    #expect(dns.search == ["a", "b", "c"])
    #expect(dns.options == ["ndots:5", "timeout:1", "rotate"])
  }

  @Test(arguments: [
    "", "\n\n", "# nameserver 10.0.0.1", "; nameserver 10.0.0.1", "#nameserver 10.0.0.1\n", "nameserver",
    "domain\nsearch",
    "sortlist 10.0.0.0", "Nameserver 10.0.0.1",
  ])
  func otherLinesAreIgnored(_ text: String) throws {
    #expect(try dns(text).isEmpty)
  }

  @Test func crlfLineEndsAndInvalidUTF8AreAccepted() throws {
    #expect(try dns("nameserver 10.0.0.1\r\nsearch a\r\n").nameservers == ["10.0.0.1"])
    let path = directory.file("binary")
    try Files.write(path, [0xFF, 0x00, 0x0A] + Array("search a\n".utf8))
    #expect(try DNS(resolvConf: path).search == ["a"])
  }

  @Test func oversizedFileAndDirectoryAreErrors() throws {
    let path = directory.file("large")
    try Files.write(path, [UInt8](repeating: 0x23, count: 70000))
    #expect(answer { _ = try DNS(resolvConf: path) }?.code == .ioFailure)
    #expect(answer { _ = try DNS(resolvConf: directory.path) }?.code == .ioFailure)
  }
}
