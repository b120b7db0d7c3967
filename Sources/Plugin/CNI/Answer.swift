package import JSON

// The texts that a plugin writes to standard output, in the layout of the reference library: indented by four spaces,
// without a newline at the end.

extension AttachmentResult {
  /// The result as ADD writes it, in the format of a version.
  package func text(_ version: SpecVersion) throws(CNIError) -> String {
    let json = try json(version)
    do throws(JSONError) {
      return try json.text(.indented(4))
    } catch {
      throw CNIError(.invalidConfiguration, "network configuration: \(error)")
    }
  }
}

extension CNIError {
  /// The error as every verb writes it.
  package var text: String {
    (try? json.text(.indented(4))) ?? ""
  }
}

extension SpecVersion {
  /// The result of VERSION, on one line.
  package static func answer() throws(JSONError) -> String {
    let value: JSONValue = [
      "cniVersion": .string(current.description),
      "supportedVersions": .array(supported.map { .string($0.description) }),
    ]
    return try value.text() + "\n"
  }
}
