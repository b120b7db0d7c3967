internal import ArgumentParser

/// Durations in the form of Go's flags, whole numbers only: `24h`, `90m`, `1h30m`, `45s`.
enum TimeText {
  static func duration(_ text: String) throws -> Duration {
    var seconds = 0
    var digits = ""
    var isGood = !text.isEmpty
    for character in text {
      if character.isASCII, character.isNumber {
        digits.append(character)
        continue
      }
      let units: [Character: Int] = ["h": 3600, "m": 60, "s": 1]
      guard let unit = units[character], digits.count <= 9, let number = Int(digits) else {
        isGood = false
        break
      }
      seconds += number * unit
      digits = ""
    }
    guard isGood, digits.isEmpty else {
      throw ValidationError("'\(text)' is no time like 24h, 90m or 1h30m.")
    }
    return .seconds(seconds)
  }
}
