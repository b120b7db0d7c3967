/// A text that logs and descriptions never show.
package struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// The text itself.
  package let text: String

  /// Makes a secret of a text.
  package init(_ text: String) { self.text = text }

  /// Whether the text is empty.
  package var isEmpty: Bool { text.isEmpty }

  /// A placeholder for the text.
  package var description: String { "<hidden>" }
  /// A placeholder for the text.
  package var debugDescription: String { description }
  /// A mirror without the text.
  package var customMirror: Mirror { Mirror(self, children: []) }
}
