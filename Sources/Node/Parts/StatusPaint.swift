/// Colors of the text of `status`, where it is written to a terminal.
package struct StatusPaint: Sendable {
  /// SGR parameters (ECMA-48, 8.3.117).
  package enum Color: Int, Sendable {
    case red = 31
    case green = 32
    case yellow = 33
  }

  private let isColored: Bool

  package init(isColored: Bool) {
    self.isColored = isColored
  }

  /// Returns the text in a color if the output is colored.
  package func callAsFunction(_ text: String, _ color: Color) -> String {
    isColored ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
  }
}
