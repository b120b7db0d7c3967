package import JSON

/// The common part of a plugin's network configuration, as it is on standard input (SPEC, "Section 1").
package struct NetworkConfiguration: Sendable {
  /// The version of the configuration and of the result (`cniVersion`).
  package let version: SpecVersion
  /// The network's checked name (`name`), which becomes a directory's name.
  package let name: String
  /// The plugin's name (`type`).
  package let type: String
  /// The result of the plugins before this one, or of ADD (`prevResult`).
  package let previousResult: AttachmentResult?
  /// The whole object, for the plugin's own keys.
  package let fields: JSONFields

  /// Reads standard input and checks the common fields.
  ///
  /// Order and codes are the reference's. Invalid JSON has code 6, a missing name 7. A version that does not have the
  /// verb and a version that this plugin does not support have code 1.
  ///
  /// - Parameter verb: the operation, which decides on the required version and on errors in `prevResult`.
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
    // SPEC has no limit, but a directory's name has at most 255 bytes.
    guard name.utf8.count <= 200 else {
      throw CNIError(.invalidConfiguration, "network name is longer than 200 bytes", details: name)
    }
    try NetworkConfiguration.checkVersion(version, allows: verb)
    guard
      let supported = SpecVersion.supported.first(where: {
        $0.description == (version.isEmpty ? "0.1.0" : version)
      })
    else {
      let list = SpecVersion.supported.map { "\"\($0)\"" }.joined(separator: " ")
      throw CNIError(
        .incompatibleVersion, "incompatible CNI versions",
        details: "config is \"\(version)\", plugin supports [\(list)]")
    }
    self.version = supported
    self.fields = fields
    previousResult = try NetworkConfiguration.previousResult(fields, supported, verb: verb)
  }

  /// Checks that the version has the verb: CHECK needs 0.4.0, GC and STATUS need 1.1.0.
  private static func checkVersion(_ version: String, allows verb: Verb) throws(CNIError) {
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
    _ fields: JSONFields, _ version: SpecVersion, verb: Verb
  ) throws(CNIError) -> AttachmentResult? {
    do throws(JSONError) {
      guard let previous = try fields.fields("prevResult") else { return nil }
      return try AttachmentResult(previous, version: version)
    } catch {
      // An unreadable result of ADD must not prevent DEL from cleaning up.
      if verb == .delete { return nil }
      throw CNIError(.decodingFailure, "cannot read prevResult: \(error)")
    }
  }
}
