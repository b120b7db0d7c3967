/// One thing that a pass did, as the log and `status` show it.
package struct Change: Sendable, Hashable {
  /// A property of what was changed.
  package struct Field: Sendable, Hashable {
    package let key: Key
    package let value: String

    package init(_ key: Key, _ value: String) {
      self.key = key
      self.value = value
    }
  }

  /// The name of a field.
  package struct Key: Sendable, Hashable, ExpressibleByStringLiteral {
    /// In JSON.
    package let name: String
    /// In the log.
    package let logName: String

    package init(_ name: String, log: String? = nil) {
      self.name = name
      logName = log ?? name
    }

    package init(stringLiteral name: String) { self.init(name) }

    package static let node = Key("node")
    package static let subnet = Key("subnet")
    package static let nextHop = Key("nextHop", log: "via")
    package static let device = Key("device", log: "dev")
    /// The table or chain, in the words of `nft`.
    package static let rules = Key("rules")
  }

  /// What was done: "route added".
  package let verb: String
  package let subject: [Field]

  package init(_ verb: String, _ subject: [Field?] = []) {
    self.verb = verb
    self.subject = subject.compactMap { $0 }
  }

  /// The value of a field.
  package subscript(key: Key) -> String? { subject.first { $0.key == key }?.value }
}

extension Change.Field {
  /// A field whose value may be absent.
  package init?(_ key: Change.Key, _ value: (some CustomStringConvertible)?) {
    guard let value else { return nil }
    self.init(key, value.description)
  }
}
