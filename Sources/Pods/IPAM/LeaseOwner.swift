/// Whom an address is leased to: one interface of one container.
package struct LeaseOwner: Sendable, Hashable, CustomStringConvertible {
  /// Without white space at either end, as host-local takes it.
  package let containerID: String
  /// Empty in leases of host-local's old format, which counts for every interface of the container.
  package let interfaceName: String

  package init(containerID: String, interfaceName: String) {
    self.containerID = String(decoding: trimmed(Array(containerID.utf8)[...]), as: UTF8.self)
    self.interfaceName = interfaceName
  }

  package var description: String { interfaceName.isEmpty ? containerID : "\(containerID) (\(interfaceName))" }

  /// Whether this is the other, or its container in the old format.
  func covers(_ other: LeaseOwner) -> Bool {
    containerID == other.containerID && (interfaceName == other.interfaceName || interfaceName.isEmpty)
  }
}

/// The content of a lease file: container, CR LF, interface; in the old format the container alone.
extension LeaseOwner {
  /// `nil` where the file names nobody.
  init?(content: [UInt8]) {
    let text = trimmed(content[...])
    guard !text.isEmpty else { return nil }
    let lineEnd = text.indices.first { text[$0...].starts(with: [0x0D, 0x0A]) }
    self.init(
      containerID: String(decoding: text[..<(lineEnd ?? text.endIndex)], as: UTF8.self),
      interfaceName: lineEnd.map { String(decoding: text[($0 + 2)...], as: UTF8.self) } ?? "")
  }

  var content: [UInt8] { Array("\(containerID)\r\n\(interfaceName)".utf8) }
}

/// Without white space at either end. In bytes: Swift's characters take as long as all the rest of a scan.
private func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
  let start = text.drop(while: isSpace)
  guard let last = start.lastIndex(where: { !isSpace($0) }) else { return [] }
  return start[...last]
}
