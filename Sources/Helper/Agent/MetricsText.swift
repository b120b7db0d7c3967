internal import Parts

/// Numbers in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/).
struct MetricsText {
  private(set) var text = ""

  mutating func add(_ metric: Metric) {
    guard metric.histogram != nil || !metric.values.isEmpty else { return }
    text += "# HELP \(metric.name) \(metric.help)\n# TYPE \(metric.name) \(metric.kind.rawValue)\n"
    for (labels, number) in metric.values { line(metric.name, labels, number) }
    if let histogram = metric.histogram { add(histogram, metric.name) }
  }

  private mutating func add(_ histogram: DurationHistogram, _ name: String) {
    for (bound, count) in zip(DurationHistogram.bounds, histogram.counts) {
      line("\(name)_bucket", [("le", MetricsText.number(bound))], Double(count))
    }
    line("\(name)_bucket", [("le", "+Inf")], Double(histogram.count))
    line("\(name)_sum", [], histogram.sum)
    line("\(name)_count", [], Double(histogram.count))
  }

  private mutating func line(_ name: String, _ labels: Metric.Labels, _ value: Double) {
    let labels = labels.map { "\($0.name)=\"\(MetricsText.escaped($0.value))\"" }.joined(separator: ",")
    text += name + (labels.isEmpty ? "" : "{\(labels)}") + " \(MetricsText.number(value))\n"
  }

  /// Whole numbers have no fraction.
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
