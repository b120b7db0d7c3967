/// The operation that the runtime requests: the value of CNI_COMMAND (SPEC, "Section 2").
package enum Verb: String, Sendable, CaseIterable {
  case add = "ADD"
  case check = "CHECK"
  case delete = "DEL"
  case collect = "GC"
  case status = "STATUS"
  case version = "VERSION"
}

/// The checked CNI_* environment of one execution (SPEC, "Parameters").
package struct Invocation: Sendable, Equatable {
  /// The operation (CNI_COMMAND).
  package var verb: Verb
  /// The container's ID (CNI_CONTAINERID); empty if the runtime gave none.
  package var containerID: String
  /// The path of the pod's namespace (CNI_NETNS), verbatim; empty if the runtime gave none.
  package var namespacePath: String
  /// The name of the pod's interface (CNI_IFNAME); empty if the runtime gave none.
  package var interfaceName: String
  /// The text of CNI_ARGS, not parsed.
  package var arguments: String
  /// The directories of CNI_PATH.
  package var searchPath: [String]
  /// Whether the pod's namespace may be the plugin's own (CNI_NETNS_OVERRIDE).
  package var allowsOwnNamespace: Bool

  /// Reads and checks the environment.
  ///
  /// Only variables that the verb requires are checked, in the order COMMAND, CONTAINERID, NETNS, IFNAME, ARGS, PATH.
  /// An invalid value is reported before missing ones; missing variables are reported together.
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

/// The entries of a search path. It is split by bytes, because a colon before a combining mark is a colon too.
private func directories(_ path: String) -> [String] {
  path.utf8.split(separator: UInt8(ascii: ":")).map { String(decoding: $0, as: UTF8.self) }
}

/// Checks of names that become parts of paths, link names and firewall rules.
package enum Name {
  /// Whether a name is a letter or digit, followed by letters, digits, `_`, `.` and `-` (SPEC, "Section 1" and
  /// "Parameters").
  package static func isValid(_ name: String) -> Bool {
    guard let first = name.utf8.first, isLetterOrDigit(first) else { return false }
    return name.utf8.allSatisfy { isLetterOrDigit($0) || [0x5F, 0x2E, 0x2D].contains($0) }
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  /// Checks a container's ID by the rule of `isValid`; code 4 if it is invalid.
  package static func checkContainerID(_ id: String) throws(CNIError) {
    guard isValid(id) else {
      throw CNIError(.invalidEnvironment, "invalid characters in containerID", details: id)
    }
  }

  /// Checks an interface name by the rules of the kernel's `dev_valid_name` (net/core/dev.c); code 4 if it is invalid.
  ///
  /// Control characters and `%` are refused, too. The kernel takes a name with `%` for a pattern and chooses a number.
  package static func checkInterface(_ name: String) throws(CNIError) {
    if name.isEmpty { throw CNIError(.invalidEnvironment, "interface name is empty") }
    // IFNAMSIZ is 16 with the NUL.
    if name.utf8.count > 15 {
      throw CNIError(
        .invalidEnvironment, "interface name is too long",
        details: "interface name should be less than 16 characters")
    }
    if name == "." || name == ".." { throw CNIError(.invalidEnvironment, "interface name is . or ..") }
    // By scalars: a slash with a combining mark is another character, but the kernel sees a slash.
    if name.unicodeScalars.contains(where: { $0 == "/" || $0 == ":" || $0.properties.isWhitespace }) {
      throw CNIError(
        .invalidEnvironment, "interface name contains / or : or whitespace characters", details: name)
    }
    // The kernel accepts them, but a terminal that shows the name would interpret them.
    if name.unicodeScalars.contains(where: { [.control, .format].contains($0.properties.generalCategory) }) {
      throw CNIError(.invalidEnvironment, "interface name contains control characters", details: name)
    }
    if name.utf8.contains(UInt8(ascii: "%")) {
      throw CNIError(
        .invalidEnvironment, "interface name contains %, which the kernel takes for a pattern", details: name)
    }
  }
}
