/// What the runtime wants done: CNI_COMMAND.
package enum Verb: String, Sendable, CaseIterable {
  case add = "ADD"
  case check = "CHECK"
  case delete = "DEL"
  case collect = "GC"
  case status = "STATUS"
  case version = "VERSION"
}

/// The CNI_* environment of one execution, checked (SPEC, "Parameters").
package struct Invocation: Sendable, Equatable {
  package var verb: Verb
  /// CNI_CONTAINERID; empty where the verb has none.
  package var containerID: String
  /// CNI_NETNS, verbatim; empty where none was given.
  package var namespacePath: String
  /// CNI_IFNAME; empty where the verb has none.
  package var interfaceName: String
  /// CNI_ARGS, not yet taken apart.
  package var arguments: String
  /// The directories of CNI_PATH.
  package var searchPath: [String]
  /// CNI_NETNS_OVERRIDE: the pod's namespace may be the plugin's own.
  package var allowsOwnNamespace: Bool

  /// Reads and checks the environment.
  ///
  /// A bad value is reported before what is missing, in the order COMMAND, CONTAINERID, NETNS, IFNAME, ARGS, PATH,
  /// and only of variables that the verb demands; what is missing is reported all at once.
  package init(environment: (String) -> String?) throws(CNIError) {
    func value(_ name: String) -> String { environment(name) ?? "" }
    let command = value("CNI_COMMAND")
    guard !command.isEmpty else {
      throw CNIError(.invalidEnvironment, "required env variables [CNI_COMMAND] missing")
    }
    guard let verb = Verb(rawValue: command) else {
      throw CNIError(.invalidEnvironment, "unknown CNI_COMMAND: \(command)")
    }
    self.verb = verb
    containerID = value("CNI_CONTAINERID")
    namespacePath = value("CNI_NETNS")
    interfaceName = value("CNI_IFNAME")
    arguments = value("CNI_ARGS")
    searchPath = directories(value("CNI_PATH"))
    allowsOwnNamespace = ["true", "1"].contains(value("CNI_NETNS_OVERRIDE").lowercased())

    let isOfOnePod = verb == .add || verb == .check || verb == .delete
    var missing: [String] = []
    if isOfOnePod {
      if containerID.isEmpty {
        missing.append("CNI_CONTAINERID")
      } else {
        try Name.checkContainerID(containerID)
      }
    }
    if verb == .add || verb == .check, namespacePath.isEmpty { missing.append("CNI_NETNS") }
    if isOfOnePod {
      if interfaceName.isEmpty {
        missing.append("CNI_IFNAME")
      } else {
        try Name.checkInterface(interfaceName)
      }
    }
    if verb != .version, searchPath.isEmpty { missing.append("CNI_PATH") }
    guard missing.isEmpty else {
      throw CNIError(
        .invalidEnvironment, "required env variables [\(missing.joined(separator: ","))] missing")
    }
  }
}

/// The entries of a search path; in bytes, since a colon with a combining mark is a colon too.
private func directories(_ path: String) -> [String] {
  path.utf8.split(separator: UInt8(ascii: ":")).map { String(decoding: $0, as: UTF8.self) }
}

/// The rules for names that become parts of paths, link names and firewall rules.
package enum Name {
  /// A letter or digit, then letters, digits, `_`, `.` and `-` (SPEC, "Section 1" and "Parameters").
  package static func isValid(_ name: String) -> Bool {
    guard let first = name.utf8.first, isLetterOrDigit(first) else { return false }
    return name.utf8.allSatisfy { isLetterOrDigit($0) || [0x5F, 0x2E, 0x2D].contains($0) }
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  package static func checkContainerID(_ id: String) throws(CNIError) {
    guard isValid(id) else {
      throw CNIError(.invalidEnvironment, "invalid characters in containerID", details: id)
    }
  }

  /// The rules of the kernel's `dev_valid_name` (net/core/dev.c), and no `%`: the kernel makes the next free name of a
  /// pattern.
  package static func checkInterface(_ name: String) throws(CNIError) {
    if name.isEmpty { throw CNIError(.invalidEnvironment, "interface name is empty") }
    if name.utf8.count > 15 {
      throw CNIError(
        .invalidEnvironment, "interface name is too long",
        details: "interface name should be less than 16 characters")
    }
    if name == "." || name == ".." { throw CNIError(.invalidEnvironment, "interface name is . or ..") }
    // In scalars: a slash with a combining mark is another character, but to the kernel it is a slash.
    if name.unicodeScalars.contains(where: { $0 == "/" || $0 == ":" || $0.properties.isWhitespace }) {
      throw CNIError(
        .invalidEnvironment, "interface name contains / or : or whitespace characters", details: name)
    }
    // The kernel takes them, but whoever shows the name to a terminal would obey them.
    if name.unicodeScalars.contains(where: { [.control, .format].contains($0.properties.generalCategory) }) {
      throw CNIError(.invalidEnvironment, "interface name contains control characters", details: name)
    }
    if name.utf8.contains(UInt8(ascii: "%")) {
      throw CNIError(
        .invalidEnvironment, "interface name contains %, which the kernel takes for a pattern", details: name)
    }
  }
}
