package import JSON

// What a plugin writes to standard output, in the layout of the reference's library: four spaces, no newline at the end.

extension AttachmentResult {
  /// The result as ADD writes it, in the shape of a version.
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
  /// The error as any verb writes it.
  package var text: String {
    (try? json.text(.indented(4))) ?? ""
  }
}

extension SpecVersion {
  /// What VERSION writes: a line of its own.
  package static func answer() throws(JSONError) -> String {
    let value: JSONValue = [
      "cniVersion": .string(current.description),
      "supportedVersions": .array(supported.map { .string($0.description) }),
    ]
    return try value.text() + "\n"
  }
}
