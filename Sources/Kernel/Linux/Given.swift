extension String {
  /// The text, or `nil` if it is empty: an option or variable without a value counts as not given.
  package var given: String? { isEmpty ? nil : self }
}
