/// Why this node has no fast path.
package struct FastPathError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What is missing, and the remedy where there is one.
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
