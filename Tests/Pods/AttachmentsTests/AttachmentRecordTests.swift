import Addresses
@testable import Attachments
import Linux
@testable import NodeState
import Testing
import TestSupport

@Suite struct AttachmentRecordTests {
  private let directory: TemporaryDirectory
  private var records: RecordDirectory { StateDirectory(directory.file("state")).records }

  init() throws { directory = try TemporaryDirectory() }

  private func record(_ network: String = "net", _ id: String = "c1", dataDirectory: String = "/data") throws
    -> AttachmentRecord
  {
    AttachmentRecord(
      attachment: Attachment(network: network, containerID: id, interfaceName: "eth0"),
      // Both numbers use the sign bit.
      namespace: .init(device: .max, inode: 1 << 63), namespacePath: "/run/netns/\"é\"", hostLink: "veth1",
      mac: MACAddress("02:00:00:00:00:01"),
      addresses: [try #require(IPAddress("10.1.0.5")), try #require(IPAddress("fd00::5"))],
      dataDirectory: dataDirectory, masquerades: id == "c1", checksMAC: id != "c1")
  }

  @Test func storedRecordIsFound() throws {
    let record = try record()
    #expect(records.find(record.attachment) == nil)
    #expect(!records.contains(record.attachment))
    try records.store(record)
    #expect(records.find(record.attachment) == record)
    #expect(records.contains(record.attachment))
    try records.store(try self.record(dataDirectory: "/other"))
    #expect(records.find(record.attachment)?.dataDirectory == "/other")
    try records.remove(record.attachment.key)
    #expect(!records.contains(record.attachment))
    try records.remove(record.attachment.key)
  }

  @Test func recordWithoutAddressesIsFound() throws {
    let attachment = Attachment(network: "net", containerID: String(repeating: "c", count: 5000), interfaceName: "eth0")
    let record = AttachmentRecord(
      attachment: attachment, namespace: .init(device: 0, inode: 0), namespacePath: "", hostLink: "", mac: nil,
      addresses: [], dataDirectory: "", masquerades: false, checksMAC: true)
    try records.store(record)
    #expect(records.find(attachment) == record)
  }

  @Test func keysOfANetworkExcludeOtherNetworks() throws {
    #expect(try records.keys(network: "net") == [])
    for (network, id) in [("net", "a"), ("net", "b"), ("net2", "a"), ("ne", "t"), ("n.et", "a")] {
      try records.store(try record(network, id))
    }
    #expect(try records.keys(network: "net").sorted() == ["net:a:eth0", "net:b:eth0"])
    #expect(try records.keys(network: "ne") == ["ne:t:eth0"])
    #expect(try records.keys(network: "n") == [])
  }

  @Test(arguments: [
    "", "{", "[]", "null", "{}", "\u{0}",
    #"{"network":"net","containerID":"c1","ifname":"eth0","netns":"","device":"1","inode":1,"hostLink":"","dataDir":""}"#,
    #"{"network":"net","containerID":"c1","ifname":"eth0","netns":"","device":1,"inode":1e300,"hostLink":"","dataDir":""}"#,
    #"{"network":"net","containerID":"c1","ifname":null,"netns":"","device":1,"inode":1,"hostLink":"","dataDir":""}"#,
  ])
  func damagedRecordIsNotFound(_ text: String) throws {
    let attachment = try record().attachment
    try Files.makeDirectory(records.path)
    try Files.write("\(records.path)/\(attachment.key)", Array(text.utf8))
    #expect(records.find(attachment) == nil)
    // The damaged file still shows that there was an ADD.
    #expect(records.contains(attachment))
  }

  @Test func truncatedRecordIsNotFound() throws {
    let record = try record()
    try records.store(record)
    let path = "\(records.path)/\(record.attachment.key)"
    let whole = try #require(try Files.read(path, limit: 65536))
    for count in 0..<whole.count {
      try Files.remove(path)
      try Files.write(path, Array(whole[..<count]))
      #expect(records.find(record.attachment) == nil)
    }
  }

  @Test func unreadableAddressesAreOmitted() throws {
    let attachment = try record().attachment
    let text = """
      {"network":"net","containerID":"c1","ifname":"eth0","netns":"","device":1,"inode":1,"hostLink":"","dataDir":"",\
      "addresses":["10.1.0.5", 5, "x", null]}
      """
    try Files.makeDirectory(records.path)
    try Files.write("\(records.path)/\(attachment.key)", Array(text.utf8))
    #expect(records.find(attachment)?.addresses == [try #require(IPAddress("10.1.0.5"))])
  }
}
