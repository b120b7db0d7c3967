internal import ArgumentParser

/// A group of options whose names are known, so that each may also come from the environment and the configuration file.
protocol OptionNames: ParsableArguments {
  /// The long names.
  static var names: [String] { get }
  /// The names of options that may be given without a value, which then is true.
  static var switches: Set<String> { get }
  /// The names of options that may be given more than once.
  static var lists: Set<String> { get }
}

extension OptionNames {
  static var switches: Set<String> { [] }
  static var lists: Set<String> { [] }

  /// Returns the case that a text names.
  static func word<Word: RawRepresentable<String> & CaseIterable>(_ text: String) throws -> Word {
    guard let word = Word(rawValue: text) else {
      throw ValidationError("'\(text)' is none of \(Word.allCases.map(\.rawValue).joined(separator: ", ")).")
    }
    return word
  }
}
