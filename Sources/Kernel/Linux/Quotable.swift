extension String {
  /// The text made safe to quote in a log or on a terminal: on one line, without control characters, and cut after 240
  /// characters.
  package var quotable: String {
    let cut = unicodeScalars.prefix(240)
    return String.withoutControls(cut) + (cut.endIndex == unicodeScalars.endIndex ? "" : "…")
  }

  /// The text on one line without control characters, not shortened.
  package var onOneLine: String { String.withoutControls(unicodeScalars[...]) }

  private static func withoutControls(_ scalars: Substring.UnicodeScalarView) -> String {
    var text = String.UnicodeScalarView()
    for scalar in scalars {
      switch scalar.properties.generalCategory {
      // The category "format" includes characters that change the direction of writing.
      case .control, .format, .lineSeparator, .paragraphSeparator: text.append(" ")
      default: text.append(scalar)
      }
    }
    return String(text)
  }
}
