@testable import Attachments
import Linux
import Testing
import TestSupport

@Suite struct GoneAttachmentsTests {
  private let state: TemporaryDirectory
  private let namespaces: TemporaryDirectory

  init() throws {
    state = try TemporaryDirectory()
    namespaces = try TemporaryDirectory()
  }

  /// Whether an attachment without host link counts as gone an hour after its ADD.
  private func isGone(namespacePath: String) throws -> Bool {
    let attachment = Attachment(network: "net", containerID: "c", interfaceName: "eth0")
    let records = RecordDirectory(stateDirectory: state.path)
    try records.store(
      AttachmentRecord(
        attachment: attachment, namespace: .init(device: 1, inode: 1), namespacePath: namespacePath,
        hostLink: "veth-of-nobody", mac: nil, addresses: [], dataDirectory: "", masquerades: false, checksMAC: false))
    try Files.setModified(
      "\(records.path)/\(attachment.key)", sinceEpoch: MonotonicTime.sinceEpoch - .seconds(3600))
    return try GoneAttachments(stateDirectory: state.path).find(network: "net") == [attachment]
  }

  /// A container may not see the node's directory of namespaces.
  @Test func attachmentIsNotGoneIfTheNamespaceDirectoryIsMissing() throws {
    #expect(try !isGone(namespacePath: namespaces.file("netns/c")))
    try Files.write(namespaces.file("netns"), [])
    #expect(try !isGone(namespacePath: namespaces.file("netns/c")))
    try Files.remove(namespaces.file("netns"))
    try Files.makeDirectory(namespaces.file("netns"))
    #expect(try isGone(namespacePath: namespaces.file("netns/c")))
  }

  @Test func attachmentIsGoneIfItsNamespaceWasReplaced() throws {
    // Another namespace has this path now.
    #expect(try isGone(namespacePath: "/proc/self/ns/net"))
    #expect(try !isGone(namespacePath: ""))
  }
}
