/// The owner of an address lease: one interface of one container.
package struct LeaseOwner: Sendable, Hashable, CustomStringConvertible {
  /// The container's ID, without white space at either end, as host-local writes it.
  package let containerID: String
  /// The interface's name; empty in leases of host-local's old format, which cover every interface of the container.
  package let interfaceName: String

  /// An owner; white space at either end of the container's ID is removed.
  package init(containerID: String, interfaceName: String) {
    self.containerID = String(decoding: trimmed(Array(containerID.utf8)[...]), as: UTF8.self)
    self.interfaceName = interfaceName
  }

  /// The container's ID with the interface in parentheses.
  package var description: String { interfaceName.isEmpty ? containerID : "\(containerID) (\(interfaceName))" }

  /// Whether the two are equal, or this one is the other's container in the old format.
  func covers(_ other: LeaseOwner) -> Bool {
    containerID == other.containerID && (interfaceName == other.interfaceName || interfaceName.isEmpty)
  }
}

// The content of a lease file is the container, CR LF and the interface; in the old format it is the container alone.
extension LeaseOwner {
  /// Reads the content of a lease file; `nil` if it is blank.
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

/// Removes white space at either end. It works on bytes, because Swift's characters would double the time of a scan.
private func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
  let start = text.drop(while: isSpace)
  guard let last = start.lastIndex(where: { !isSpace($0) }) else { return [] }
  return start[...last]
}
