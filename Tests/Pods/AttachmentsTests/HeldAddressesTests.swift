import Addresses
@testable import Attachments
import Linux
import Testing
import TestSupport

@Suite struct HeldAddressesTests {
  /// Addresses of every network and data directory are held, and those that another IPAM plugin assigned.
  @Test func everyHeldAddressIsListedOnce() throws {
    let state = try TemporaryDirectory()
    let data = try TemporaryDirectory()
    for file in ["a/192.0.2.9", "a/fd00::9", "a/lock", "b/192.0.2.9", "b/192.0.2.10"] {
      try Files.makeDirectory("\(data.path)/\(file.prefix(1))")
      try Files.write(data.file(file), [])
    }
    try Files.write(data.file("192.0.2.77"), [])
    for (name, addresses) in [("a", ["192.0.2.9"]), ("dhcp", ["192.0.2.33"])] {
      try RecordDirectory(stateDirectory: state.path).store(
        AttachmentRecord(
          attachment: Attachment(network: name, containerID: "c", interfaceName: "eth0"),
          namespace: .init(device: 1, inode: 1), namespacePath: "/x", hostLink: "v", mac: nil,
          addresses: addresses.compactMap { IPAddress($0) }, dataDirectory: name == "a" ? data.path : "",
          masquerades: false, checksMAC: false))
    }
    let held = HeldAddresses(stateDirectory: state.path)
    let found = try held.all().map(\.description).filter { $0.hasPrefix("192.0.2.") || $0.hasPrefix("fd00::") }
    #expect(found == ["192.0.2.9", "192.0.2.10", "192.0.2.33", "fd00::9"])
    let subnet = try #require(IPPrefix("192.0.2.32/27"))
    #expect(held.areIn(subnet))
    #expect(try !held.areIn(#require(IPPrefix("192.0.2.64/27"))))
  }
}
