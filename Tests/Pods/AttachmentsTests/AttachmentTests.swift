@testable import Attachments
import Testing

/// The attachment of this package, not the type of the testing library.
typealias Attachment = Attachments.Attachment

/// Names that derive from an attachment: its record, its host link and the alias of that link.
@Suite struct AttachmentTests {
  private func attachment(_ id: String, _ interface: String = "eth0", network: String = "net") -> Attachment {
    Attachment(network: network, containerID: id, interfaceName: interface)
  }

  @Test func keyJoinsTheThreeNames() {
    #expect(attachment("c0ffee", network: "podnet").key == "podnet:c0ffee:eth0")
    #expect(attachment("c0ffee", network: "podnet").linkAlias == "causeway:podnet:c0ffee:eth0")
  }

  /// Two attachments could share a key if names could contain the separator.
  @Test func keysOfDifferentNamesDiffer() {
    let keys = [
      attachment("b-c", network: "a").key, attachment("c", network: "a-b").key, attachment("c", network: "a.b").key,
      attachment("b.c", network: "a").key, attachment("b", "c", network: "a").key,
      attachment("b", "c.d", network: "a").key,
    ]
    #expect(Set(keys).count == keys.count)
  }

  /// NAME_MAX and IFALIASZ are 255 bytes; a network's name may have 200, an ID any number.
  @Test(arguments: [1, 10, 200], [1, 20, 64, 200, 210, 211, 300, 100_000])
  func keyFitsAFileNameAndAnAlias(networkBytes: Int, idBytes: Int) {
    let network = String(repeating: "n", count: networkBytes)
    for interface in ["eth0", "exactly15bytes_", "ééééééé", "e\u{301}\u{301}"] {
      let attachment = attachment(String(repeating: "c", count: idBytes), interface, network: network)
      #expect(attachment.linkAlias.utf8.count <= 255)
      #expect(!attachment.key.utf8.contains(UInt8(ascii: "/")))
    }
  }

  /// GC finds a network's records and links by the prefix of their keys.
  @Test(arguments: [1, 199, 200]) func keyBeginsWithThePrefixOfItsNetwork(networkBytes: Int) {
    let network = String(repeating: "n", count: networkBytes)
    for idBytes in [1, 17, 18, 19, 64, 300] {
      let key = attachment(String(repeating: "c", count: idBytes), network: network).key
      #expect(key.hasPrefix(Attachment.keyPrefix(network: network)))
      #expect(!key.hasPrefix(Attachment.keyPrefix(network: "n" + network)))
    }
  }

  @Test func truncatedKeysStayDistinct() {
    let long = String(repeating: "c", count: 300)
    let keys = [
      attachment(long).key, attachment(long + "1").key, attachment(long + "2").key, attachment(long, "eth1").key,
    ]
    #expect(Set(keys).count == keys.count)
    #expect(keys.allSatisfy { $0.utf8.count <= 220 })
  }

  /// DEL must find links that an earlier release made: these names must never change.
  @Test func hostLinkNameNeverChanges() {
    #expect(attachment("c0ffee").hostLinkName(attempt: 0) == "vethf8de584b")
    #expect(attachment("c0ffee").hostLinkName(attempt: 1) == "vethf8de5938")
  }

  @Test func hostLinkNamesFitTheKernelAndDiffer() {
    var names: Set<String> = []
    for id in 0..<500 {
      for attempt in 0..<Attachment.hostLinkAttempts {
        let name = attachment("c\(id)").hostLinkName(attempt: attempt)
        #expect(name.utf8.count == 12)
        names.insert(name)
      }
    }
    // 5,000 of 2³² names: a collision is possible but rare, and these have none.
    #expect(names.count == 500 * Attachment.hostLinkAttempts)
  }

  @Test func hostLinkNameDependsOnEachName() {
    let names = [
      attachment("a"), attachment("a", "eth1"), attachment("b"), attachment("a", network: "ten"),
    ].map { $0.hostLinkName(attempt: 0) }
    #expect(Set(names).count == names.count)
  }
}
