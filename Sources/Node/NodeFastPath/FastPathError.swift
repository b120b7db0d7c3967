/// The reason why this node has no fast path.
package struct FastPathError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Missing condition of the fast path, and the remedy if there is one.
  package let description: String

  /// Creates an error with this text.
  package init(_ description: String) {
    self.description = description
  }
}
