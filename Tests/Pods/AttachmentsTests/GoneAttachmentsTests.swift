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

  /// Whether a pod of an hour ago, without a cable, counts as gone.
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

  /// As in a container that does not see its node's directories.
  @Test func whereTheDirectoryOfNamespacesIsMissingNothingCanBeTold() throws {
    #expect(try !isGone(namespacePath: namespaces.file("netns/c")))
    try Files.write(namespaces.file("netns"), [])
    #expect(try !isGone(namespacePath: namespaces.file("netns/c")))
    try Files.remove(namespaces.file("netns"))
    try Files.makeDirectory(namespaces.file("netns"))
    #expect(try isGone(namespacePath: namespaces.file("netns/c")))
  }

  @Test func whoseNamespaceIsThereLives() throws {
    // Another one has taken its place.
    #expect(try isGone(namespacePath: "/proc/self/ns/net"))
    #expect(try !isGone(namespacePath: ""))
  }
}
