/// Whom an address is leased to: one interface of one container.
package struct LeaseOwner: Sendable, Hashable, CustomStringConvertible {
  /// Without white space at either end, as host-local takes it.
  package let containerID: String
  /// Empty in leases of host-local's old format, which counts for every interface of the container.
  package let interfaceName: String

  package init(containerID: String, interfaceName: String) {
    self.containerID = trimmed(containerID[...])
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
    let lines = trimmed(String(decoding: content, as: UTF8.self)[...])
    guard !lines.isEmpty else { return nil }
    // To Swift, CR LF is one character.
    let parts = lines.split(separator: "\r\n" as Character, maxSplits: 1, omittingEmptySubsequences: false)
    self.init(containerID: String(parts[0]), interfaceName: parts.count == 2 ? String(parts[1]) : "")
  }

  var content: [UInt8] { Array("\(containerID)\r\n\(interfaceName)".utf8) }
}

private func trimmed(_ text: Substring) -> String {
  let start = text.drop { $0.isWhitespace }
  guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
  return String(start[...last])
}
