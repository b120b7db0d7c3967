package import Addresses

/// How a node is told which of its links and addresses other nodes reach it by. Where nothing of it is given, the
/// default route tells the link.
package struct InterfaceSelection: Sendable, Equatable {
  /// Names or addresses of links (`--iface`).
  package var names: [String]
  /// Regular expressions for names and addresses (`--iface-regex`); they count after the names.
  package var patterns: [String]
  /// Addresses that the kernel sends to by the link (`--iface-can-reach`); they count last.
  package var reachable: [IPAddress]
  /// The very addresses (`--public-ip`, `--public-ipv6`).
  package var publicAddresses: [IPAddress]

  package init(
    names: [String] = [], patterns: [String] = [], reachable: [IPAddress] = [], publicAddresses: [IPAddress] = []
  ) {
    self.names = names
    self.patterns = patterns
    self.reachable = reachable
    self.publicAddresses = publicAddresses
  }

  /// Whether a link is asked for, by whatever means.
  package var namesLinks: Bool { !names.isEmpty || !patterns.isEmpty || !reachable.isEmpty }

  /// The options that ask for a link, as a person gave them.
  package var options: String {
    let words =
      names.map { "--iface \($0)" } + patterns.map { "--iface-regex \($0)" }
      + reachable.map { "--iface-can-reach \($0)" }
    return words.joined(separator: ", ")
  }

  /// The public address of a family that was given.
  package func publicAddress(_ family: IPFamily) -> IPAddress? {
    publicAddresses.first { $0.family == family }
  }
}

/// Why a pattern can't be used.
package struct InterfacePatternError: Error, CustomStringConvertible {
  package let description: String
}

/// A regular expression that is looked for anywhere in a text, as flannel has it; `Regex` itself can't go from one
/// thread to another.
package struct InterfacePattern {
  private let regex: Regex<AnyRegexOutput>

  package init(_ text: String) throws(InterfacePatternError) {
    do {
      regex = try Regex(text)
    } catch {
      throw InterfacePatternError(description: "\(error)")
    }
  }

  package func matches(_ text: String) -> Bool { text.firstMatch(of: regex) != nil }
}
