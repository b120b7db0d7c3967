package import JSON

extension JSONObject {
  /// A 64-bit number, 0 if it is missing. etcd's JSON writes such numbers as strings and omits zeros.
  package func number(_ name: String) -> Int64 {
    switch self[name] {
    case .integer(let value): value
    case .string(let text): Int64(text) ?? 0
    default: 0
    }
  }
}
