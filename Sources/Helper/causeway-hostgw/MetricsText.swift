internal import FastPath

/// Numbers in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/).
struct MetricsText {
  private(set) var text = ""

  enum Kind: String {
    case counter
    case gauge
    case histogram
  }

  typealias Labels = [(name: String, value: String)]

  /// One number.
  mutating func add(_ kind: Kind, _ name: String, _ help: String, _ value: Double) {
    add(kind, name, help, [([], value)])
  }

  /// A family of numbers that labels tell apart; none is no family.
  mutating func add(_ kind: Kind, _ name: String, _ help: String, _ values: [(Labels, Double)]) {
    guard !values.isEmpty else { return }
    head(kind, name, help)
    for (labels, value) in values { line(name, labels, value) }
  }

  mutating func add(_ name: String, _ help: String, _ histogram: DurationHistogram) {
    head(.histogram, name, help)
    for (bound, count) in zip(DurationHistogram.bounds, histogram.counts) {
      line("\(name)_bucket", [("le", MetricsText.number(bound))], Double(count))
    }
    line("\(name)_bucket", [("le", "+Inf")], Double(histogram.count))
    line("\(name)_sum", [], histogram.sum)
    line("\(name)_count", [], Double(histogram.count))
  }

  private mutating func head(_ kind: Kind, _ name: String, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  private mutating func line(_ name: String, _ labels: Labels, _ value: Double) {
    let labels = labels.map { "\($0.name)=\"\(MetricsText.escaped($0.value))\"" }.joined(separator: ",")
    text += name + (labels.isEmpty ? "" : "{\(labels)}") + " \(MetricsText.number(value))\n"
  }

  /// Whole numbers without a fraction.
  private static func number(_ value: Double) -> String {
    Int64(exactly: value).map(String.init) ?? "\(value)"
  }

  private static func escaped(_ value: String) -> String {
    String(
      value.flatMap { character -> [Character] in
        switch character {
        case "\\": ["\\", "\\"]
        case "\"": ["\\", "\""]
        case "\n": ["\\", "n"]
        default: [character]
        }
      })
  }
}
