package import JSON

/// The part of a network configuration that every plugin has, as it comes on standard input (SPEC, "Section 1").
package struct NetworkConfiguration: Sendable {
  package let version: SpecVersion
  /// The network's name, checked: it becomes a directory's name.
  package let name: String
  package let type: String
  /// What the plugins before this one, or ADD, answered.
  package let previousResult: AttachmentResult?
  /// The whole object, for the plugin's own keys.
  package let fields: JSONFields

  /// Reads standard input and checks what `verb` demands of it.
  ///
  /// Order and codes are the reference's: not JSON 6, no name 7, a verb that the configuration's version does not
  /// have 1, a version that is not spoken here 1.
  package init(_ text: [UInt8], for verb: Verb) throws(CNIError) {
    let fields: JSONFields
    let version: String
    do throws(JSONError) {
      fields = try JSONFields(document: JSONValue(parsing: text), name: "the network configuration")
      version = try fields.string("cniVersion") ?? ""
      name = try fields.string("name") ?? ""
      type = try fields.string("type") ?? ""
    } catch {
      throw CNIError(.decodingFailure, "error unmarshall network config: \(error)")
    }
    guard !name.isEmpty else {
      throw CNIError(
        .invalidConfiguration, "missing network name", details: "set \"name\" in the configuration")
    }
    guard Name.isValid(name) else {
      throw CNIError(.invalidConfiguration, "invalid characters found in network name", details: name)
    }
    // Without limit of its own in SPEC, but a directory cannot be called more.
    guard name.utf8.count <= 200 else {
      throw CNIError(.invalidConfiguration, "network name is longer than 200 bytes", details: name)
    }
    try NetworkConfiguration.checkGate(version, verb)
    guard
      let spoken = SpecVersion.supported.first(where: {
        $0.description == (version.isEmpty ? "0.1.0" : version)
      })
    else {
      let list = SpecVersion.supported.map { "\"\($0)\"" }.joined(separator: " ")
      throw CNIError(
        .incompatibleVersion, "incompatible CNI versions",
        details: "config is \"\(version)\", plugin supports [\(list)]")
    }
    self.version = spoken
    self.fields = fields
    previousResult = try NetworkConfiguration.previousResult(fields, spoken, verb)
  }

  /// CHECK came with 0.4.0, GC and STATUS with 1.1.0.
  private static func checkGate(_ version: String, _ verb: Verb) throws(CNIError) {
    let first: SpecVersion
    switch verb {
    case .add, .delete, .version: return
    case .check: first = SpecVersion(0, 4, 0)
    case .collect, .status: first = SpecVersion(1, 1, 0)
    }
    guard let parsed = SpecVersion(version) else {
      throw CNIError(.decodingFailure, "cniVersion must be a version such as 1.0.0, but is \"\(version)\"")
    }
    guard parsed >= first else {
      throw CNIError(.incompatibleVersion, "config version does not allow \(verb.rawValue)")
    }
    guard parsed <= SpecVersion.current else {
      throw CNIError(.incompatibleVersion, "plugin version does not allow \(verb.rawValue)")
    }
  }

  private static func previousResult(
    _ fields: JSONFields, _ version: SpecVersion, _ verb: Verb
  ) throws(CNIError) -> AttachmentResult? {
    do throws(JSONError) {
      guard let previous = try fields.fields("prevResult") else { return nil }
      return try AttachmentResult(previous, version: version)
    } catch {
      // What ADD once said must not keep DEL from cleaning up.
      if verb == .delete { return nil }
      throw CNIError(.decodingFailure, "cannot read prevResult: \(error)")
    }
  }
}
