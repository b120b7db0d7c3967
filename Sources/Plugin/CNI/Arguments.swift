/// The pairs of CNI_ARGS, which are written `KEY=VALUE` and separated by `;` (SPEC, "Parameters").
package struct Arguments: Sendable, Equatable {
  private var values: [String: String] = [:]

  /// The value of a key, which is case-sensitive; `nil` if there is none.
  package subscript(key: String) -> String? { values[key] }

  /// Reads the text of CNI_ARGS. A trailing `;` is accepted, although the reference refuses it.
  ///
  /// - Parameter known: the keys that are accepted; other keys are an error unless `IgnoreUnknown` is true.
  package init(_ text: String, known: [String]) throws(CNIError) {
    for pair in text.split(separator: ";") {
      let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw CNIError(.invalidEnvironment, "CNI_ARGS: invalid pair \"\(pair)\"; a pair is written KEY=VALUE")
      }
      values[String(parts[0])] = String(parts[1])
    }
    let ignoresUnknown =
      switch values["IgnoreUnknown"] {
      case "1", "true", "True": true
      case "0", "false", "False", nil: false
      case .some(let value):
        throw CNIError(
          .invalidEnvironment, "CNI_ARGS: IgnoreUnknown must be true or false, but is \"\(value)\"")
      }
    let unknown = values.keys.filter { !known.contains($0) && $0 != "IgnoreUnknown" }.sorted()
    guard ignoresUnknown || unknown.isEmpty else {
      let pairs = unknown.map { "\"\($0)=\(values[$0] ?? "")\"" }.joined(separator: " ")
      throw CNIError(.invalidEnvironment, "CNI_ARGS: unknown args [\(pairs)]")
    }
  }
}
