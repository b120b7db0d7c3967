/// One thing that a pass did, as the log and `status` show it.
package struct Change: Sendable, Hashable {
  /// A property of what was changed.
  package struct Field: Sendable, Hashable {
    /// Name of the property.
    package let key: Key
    /// Value of the property, as text.
    package let value: String

    package init(_ key: Key, _ value: String) {
      self.key = key
      self.value = value
    }
  }

  /// The name of a field.
  package struct Key: Sendable, Hashable, ExpressibleByStringLiteral {
    /// Name in JSON.
    package let name: String
    /// Name in the log.
    package let logName: String

    /// Key with another name in the log if `log` is given.
    package init(_ name: String, log: String? = nil) {
      self.name = name
      logName = log ?? name
    }

    package init(stringLiteral name: String) { self.init(name) }

    /// Name of a node.
    package static let node = Key("node")
    /// Subnet of a node.
    package static let subnet = Key("subnet")
    /// Address of the next hop.
    package static let nextHop = Key("nextHop", log: "via")
    /// Name of a link.
    package static let device = Key("device", log: "dev")
    /// The table or chain, in the words of `nft`.
    package static let rules = Key("rules")
  }

  /// Action that was done, such as "route added".
  package let verb: String
  /// Properties of the changed object.
  package let subject: [Field]

  /// Change with those properties that are not `nil`.
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
