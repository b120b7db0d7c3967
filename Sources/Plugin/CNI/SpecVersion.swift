/// A version of the CNI specification, `0.1.0` to `1.1.0`.
package struct SpecVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
  package let major: Int
  package let minor: Int
  package let patch: Int

  package init(_ major: Int, _ minor: Int, _ patch: Int) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// All that are spoken here, oldest first.
  package static let supported = [
    SpecVersion(0, 1, 0), SpecVersion(0, 2, 0), SpecVersion(0, 3, 0), SpecVersion(0, 3, 1),
    SpecVersion(0, 4, 0),
    SpecVersion(1, 0, 0), SpecVersion(1, 1, 0),
  ]

  /// What VERSION answers as the plugin's own.
  package static let current = SpecVersion(1, 1, 0)

  /// The version of a configuration: one to three numbers with dots between; an empty text means 0.1.0.
  package init?(_ text: String) {
    guard !text.isEmpty else {
      self.init(0, 1, 0)
      return
    }
    let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { part in
      part.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(part) : nil
    }
    guard (1...3).contains(parts.count), parts.allSatisfy({ $0 != nil }) else { return nil }
    let numbers = parts.compactMap { $0 } + [0, 0]
    self.init(numbers[0], numbers[1], numbers[2])
  }

  package var description: String { "\(major).\(minor).\(patch)" }

  package static func < (left: SpecVersion, right: SpecVersion) -> Bool {
    (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
  }
}
