package import Addresses

/// Selectors of the links and addresses by which other nodes reach this one. Without any, the default route selects the
/// link.
package struct InterfaceSelection: Sendable, Equatable {
  /// Names or addresses of links (`--iface`).
  package var names: [String]
  /// Regular expressions of names and addresses (`--iface-regex`), which count after the names.
  package var patterns: [String]
  /// Addresses that the kernel sends to by the link (`--iface-can-reach`), which count last.
  package var reachable: [IPAddress]
  /// Addresses themselves (`--public-ip`, `--public-ipv6`).
  package var publicAddresses: [IPAddress]

  package init(
    names: [String] = [], patterns: [String] = [], reachable: [IPAddress] = [], publicAddresses: [IPAddress] = []
  ) {
    self.names = names
    self.patterns = patterns
    self.reachable = reachable
    self.publicAddresses = publicAddresses
  }

  /// Whether any selector asks for a link.
  package var namesLinks: Bool { !names.isEmpty || !patterns.isEmpty || !reachable.isEmpty }

  /// Options that ask for a link, as given.
  package var options: String {
    let words =
      names.map { "--iface \($0)" } + patterns.map { "--iface-regex \($0)" }
      + reachable.map { "--iface-can-reach \($0)" }
    return words.joined(separator: ", ")
  }

  /// Given public address of a family.
  package func publicAddress(_ family: IPFamily) -> IPAddress? {
    publicAddresses.first { $0.family == family }
  }
}

/// Reason why a pattern cannot be used.
package struct InterfacePatternError: Error, CustomStringConvertible {
  /// Text of the error, as the regular expression's parser reports it.
  package let description: String
}

/// Regular expression that may match anywhere in a text, as in flannel. `Regex` itself is not Sendable.
package struct InterfacePattern {
  private let regex: Regex<AnyRegexOutput>

  /// Pattern from an option's text. Throws if it cannot be used.
  package init(_ text: String) throws(InterfacePatternError) {
    do {
      regex = try Regex(text)
    } catch {
      throw InterfacePatternError(description: "\(error)")
    }
  }

  /// Whether the pattern matches the text.
  package func matches(_ text: String) -> Bool { text.firstMatch(of: regex) != nil }
}
