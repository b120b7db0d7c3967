import Addresses
@testable import Attachments
import Linux
@testable import NodeState
import Testing
import TestSupport

@Suite struct RecordMutationTests {
  private let directory: TemporaryDirectory
  private var records: RecordDirectory { StateDirectory(directory.file("state")).records }

  init() throws { directory = try TemporaryDirectory() }

  private static let good = #"""
    {"network":"net","containerID":"c1","ifname":"eth0","netns":"/run/netns/a","device":4,"inode":4026532000,
    "hostLink":"veth1","mac":"02:00:00:00:00:01","addresses":["10.1.0.5","fd00::5"],"dataDir":"/data","ipMasq":true,
    "macspoofchk":false}
    """#

  /// A mutated record is refused, or it is that of the attachment that its file name gives.
  @Test(arguments: 0..<2 as Range<UInt64>) func mutatedRecordIsRefusedOrThatOfItsAttachment(seed: UInt64) throws {
    let attachment = Attachment(network: "net", containerID: "c1", interfaceName: "eth0")
    try Files.makeDirectory(records.path)
    var mutations = Mutations(of: [RecordMutationTests.good], seed: seed)
    var found = 0
    for _ in 0..<600 {
      try Files.write("\(records.path)/\(attachment.key)", mutations.next())
      guard let record = records.find(attachment) else { continue }
      found += 1
      #expect(record.attachment == attachment)
    }
    #expect(found > 15)
  }

  @Test(arguments: ["../../x", "c2", ""]) func recordOfAnotherAttachmentIsRefused(_ id: String) throws {
    let attachment = Attachment(network: "net", containerID: "c1", interfaceName: "eth0")
    try Files.makeDirectory(records.path)
    let text = RecordMutationTests.good.replacing("\"c1\"", with: "\"\(id)\"")
    try Files.write("\(records.path)/\(attachment.key)", Array(text.utf8))
    #expect(records.find(attachment) == nil)
    #expect(try records.all().isEmpty)
    try records.remove(attachment.key)
    #expect(!records.contains(attachment))
  }

  @Test func irregularFileIsNotARecord() throws {
    let attachment = Attachment(network: "net", containerID: "c1", interfaceName: "eth0")
    let path = "\(records.path)/\(attachment.key)"
    try Files.makeDirectory(records.path)
    for script in ["mkfifo \(path)", "ln -s /dev/zero \(path)", "truncate -s 1G \(path)", "ln -s \(path) \(path)"] {
      try run(["/bin/sh", "-ec", script]).succeeded()
      #expect(records.find(attachment) == nil && (try? records.all())?.isEmpty == true, "\(script)")
      try records.remove(attachment.key)
    }
  }
}
