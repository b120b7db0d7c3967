internal import ArgumentParser
internal import JSON
internal import Linux

/// The environment and the configuration file as command-line arguments: placed before the real ones they lose against
/// them, since of an option given twice the last one counts. So there is one reader of values, ArgumentParser.
enum OptionSources {
  /// All arguments in the order of precedence, lowest first, behind the name of the command.
  ///
  /// - Throws: `ValidationError` that names the source of a value that can't be.
  static func arguments(
    _ arguments: [String], environment: (String) -> String?, readFile: (String) throws -> [UInt8]
  ) throws -> [String] {
    let arguments = arguments.map(spelledOut)
    let given = try HostGateway.parseAsRoot(arguments)
    guard let options = (given as? any CommandWithOptions)?.options, let command = arguments.first else {
      return arguments
    }
    var fromFile: [String] = []
    if let path = options.config ?? environment(variable("config")).flatMap({ $0.isEmpty ? nil : $0 }) {
      fromFile = try self.fromFile(readFile(path), name: path == "-" ? "standard input" : path)
    }
    return [command] + fromFile + (try fromEnvironment(environment)) + arguments.dropFirst()
  }

  /// `--ip-masq` is `--ip-masq=true`, as Go's flags have it.
  private static func spelledOut(_ argument: String) -> String {
    argument.hasPrefix("--") && Options.switches.contains(String(argument.dropFirst(2)))
      ? "\(argument)=true" : argument
  }

  private static func variable(_ name: String) -> String {
    "CAUSEWAY_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
  }

  private static func fromEnvironment(_ environment: (String) -> String?) throws -> [String] {
    try Options.names.compactMap { name in
      guard let value = environment(variable(name)), !value.isEmpty else { return nil }
      return try checked("--\(name)=\(value)", source: "environment variable \(variable(name))")
    }
  }

  private static func fromFile(_ content: [UInt8], name file: String) throws -> [String] {
    let fields: JSONFields
    do throws(JSONError) {
      fields = try JSONFields(document: JSONValue(parsing: content), name: "the configuration")
    } catch {
      throw ValidationError("\(file): \(error)")
    }
    return try fields.object.members.compactMap { member in
      guard Options.names.contains(member.name) else {
        throw ValidationError(
          "\(file): unknown key \"\(member.name)\"; known are \(Options.names.joined(separator: ", "))")
      }
      let value: String
      switch member.value {
      case .null: return nil
      case .string(let string): value = string
      case .bool(let bool): value = "\(bool)"
      case .integer(let integer): value = "\(integer)"
      case .real, .array, .object:
        throw ValidationError("\(file): \(member.name) must be a string, a whole number, true or false")
      }
      return try checked("--\(member.name)=\(value)", source: "\(file), key \"\(member.name)\"")
    }
  }

  /// The argument, where it is a good one by itself.
  private static func checked(_ argument: String, source: String) throws -> String {
    do {
      _ = try Options.parse([argument])
      return argument
    } catch {
      throw ValidationError("\(source): \(Options.message(for: error))")
    }
  }
}
