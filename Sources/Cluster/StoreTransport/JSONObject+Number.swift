package import JSON

extension JSONObject {
  /// A 64-bit number, which the gateway writes as a string and omits where it is zero.
  package func number(_ name: String) -> Int64 {
    switch self[name] {
    case .integer(let value): value
    case .string(let text): Int64(text) ?? 0
    default: 0
    }
  }
}
