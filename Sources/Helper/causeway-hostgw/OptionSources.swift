internal import ArgumentParser
internal import JSON
internal import Linux
internal import StoreTransport

/// The environment and the configuration file as command-line arguments. They are placed before the real arguments,
/// which win, because the last value of an option counts. ArgumentParser is the only reader of values.
enum OptionSources {
  /// Returns all arguments behind the name of the command, those of the lowest precedence first.
  ///
  /// - Throws: `ValidationError` that names the source of a wrong value.
  static func arguments(
    _ arguments: [String], environment: (String) -> String?, readFile: (String) throws -> [UInt8]
  ) throws -> [String] {
    // An empty value, such as an unset variable of a script, counts as none. An array must not contain it.
    let arguments = arguments.filter { !$0.hasSuffix("=") || list($0) == nil }.map(spelledOut)
    let given = try HostGatewayCommand.parseAsRoot(arguments)
    guard let options = (given as? any CommandWithOptions)?.options, let command = arguments.first else {
      return arguments
    }
    var fromFile: [String] = []
    if let path = options.config ?? environment(variable("config"))?.given {
      fromFile = try self.fromFile(readFile(path), name: path == "-" ? "standard input" : path)
    }
    let fromEnvironment = try fromEnvironment(environment)
    let flags = Array(arguments.dropFirst())
    return [command] + without(lists: fromEnvironment + flags, fromFile) + without(lists: flags, fromEnvironment)
      + flags
  }

  /// Returns the arguments of a lower source without the lists that a higher source has: all values of a list count, so
  /// they come from one source.
  private static func without(lists higher: [String], _ lower: [String]) -> [String] {
    let given = Set(higher.compactMap(list))
    return lower.filter { argument in list(argument).map { !given.contains($0) } ?? true }
  }

  /// Returns the name of the list option of an argument: `--iface=eth0`, or `--iface` with a value behind it.
  private static func list(_ argument: String) -> String? {
    guard argument.hasPrefix("--"), let name = argument.dropFirst(2).split(separator: "=").first else { return nil }
    return Options.lists.contains(String(name)) ? String(name) : nil
  }

  /// Writes `--ip-masq` as `--ip-masq=true`; flannel's flags allow both.
  private static func spelledOut(_ argument: String) -> String {
    argument.hasPrefix("--") && Options.switches.contains(String(argument.dropFirst(2)))
      ? "\(argument)=true" : argument
  }

  private static func variable(_ name: String) -> String {
    "CAUSEWAY_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
  }

  private static func fromEnvironment(_ environment: (String) -> String?) throws -> [String] {
    try Options.names.compactMap { name in
      guard let value = environment(variable(name))?.given else { return nil }
      return try checked("--\(name)=\(value)", source: "environment variable \(variable(name))")
    }
  }

  private static func fromFile(_ content: [UInt8], name file: String) throws -> [String] {
    let fields: JSONFields
    do throws(JSONError) {
      fields = try JSONFields(document: JSONValue(parsing: content), name: "the configuration")
    } catch {
      throw ValidationError("\(file): \(error.discreetDescription)")
    }
    return try fields.object.members.flatMap { member in
      guard Options.names.contains(member.name) else {
        throw ValidationError(
          "\(file): unknown key \"\(member.name)\"; known are \(Options.names.joined(separator: ", "))")
      }
      return try texts(member.value, of: member.name, file).map { text in
        try checked("--\(member.name)=\(text)", source: "\(file), key \"\(member.name)\"")
      }
    }
  }

  /// Returns the values of a key, as they would be written on the command line.
  private static func texts(_ value: JSONValue, of name: String, _ file: String) throws -> [String] {
    switch value {
    case .null: return []
    case .string(let string): return string.isEmpty && Options.lists.contains(name) ? [] : [string]
    case .bool(let bool): return ["\(bool)"]
    case .integer(let integer): return ["\(integer)"]
    case .array(let values) where Options.lists.contains(name):
      return try values.map { value in
        guard case .string(let string) = value else {
          throw ValidationError("\(file): \(name) must be a string or a list of strings")
        }
        return string
      }
    case .real, .array, .object:
      throw ValidationError("\(file): \(name) must be a string, a whole number, true or false")
    }
  }

  /// Returns the argument if it is valid by itself.
  private static func checked(_ argument: String, source: String) throws -> String {
    do {
      _ = try Options.parse([argument])
      return argument
    } catch {
      throw ValidationError("\(source): \(Options.message(for: error))")
    }
  }
}
