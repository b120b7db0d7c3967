/// A version of the CNI specification, `0.1.0` to `1.1.0`.
package struct SpecVersion: Sendable, Hashable, Comparable, CustomStringConvertible {
  /// The first number.
  package let major: Int
  /// The second number.
  package let minor: Int
  /// The third number.
  package let patch: Int

  /// A version from its numbers.
  package init(_ major: Int, _ minor: Int, _ patch: Int) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// The versions that the plugin supports, oldest first.
  package static let supported = [
    SpecVersion(0, 1, 0), SpecVersion(0, 2, 0), SpecVersion(0, 3, 0), SpecVersion(0, 3, 1),
    SpecVersion(0, 4, 0),
    SpecVersion(1, 0, 0), SpecVersion(1, 1, 0),
  ]

  /// The plugin's own version, as VERSION reports it.
  package static let current = SpecVersion(1, 1, 0)

  /// Reads the version of a configuration: one to three numbers separated by dots; an empty string means 0.1.0.
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

  /// The three numbers separated by dots.
  package var description: String { "\(major).\(minor).\(patch)" }

  /// Orders versions by their numbers.
  package static func < (left: SpecVersion, right: SpecVersion) -> Bool {
    (left.major, left.minor, left.patch) < (right.major, right.minor, right.patch)
  }
}
