/// At most one value for each IP family.
package struct PerFamily<Value> {
  package var v4: Value?
  package var v6: Value?

  package init(v4: Value? = nil, v6: Value? = nil) {
    self.v4 = v4
    self.v6 = v6
  }

  /// Takes the first value of each family.
  package init(_ values: some Sequence<Value>, by family: (Value) -> IPFamily) {
    for value in values where self[family(value)] == nil { self[family(value)] = value }
  }

  package subscript(family: IPFamily) -> Value? {
    get {
      switch family {
      case .v4: v4
      case .v6: v6
      }
    }
    set {
      switch family {
      case .v4: v4 = newValue
      case .v6: v6 = newValue
      }
    }
  }

  /// The values, IPv4's first.
  package var values: [Value] { [v4, v6].compactMap { $0 } }

  /// Whether no family has a value.
  package var isEmpty: Bool { v4 == nil && v6 == nil }
}

extension PerFamily: Sendable where Value: Sendable {}
extension PerFamily: Equatable where Value: Equatable {}
