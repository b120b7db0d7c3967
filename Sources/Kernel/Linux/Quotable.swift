extension String {
  /// The text as words of others may stand in a log, on a terminal or in a status: on one line, without what steers a
  /// terminal, and cut where it is long.
  package var quotable: String {
    let cut = unicodeScalars.prefix(240)
    return String.withoutControls(cut) + (cut.endIndex == unicodeScalars.endIndex ? "" : "…")
  }

  /// The same uncut.
  package var onOneLine: String { String.withoutControls(unicodeScalars[...]) }

  private static func withoutControls(_ scalars: Substring.UnicodeScalarView) -> String {
    var text = String.UnicodeScalarView()
    for scalar in scalars {
      switch scalar.properties.generalCategory {
      // Format takes in what turns the direction of writing.
      case .control, .format, .lineSeparator, .paragraphSeparator: text.append(" ")
      default: text.append(scalar)
      }
    }
    return String(text)
  }
}
