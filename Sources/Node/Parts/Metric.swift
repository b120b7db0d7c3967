/// A family of numbers for Prometheus.
package struct Metric: Sendable {
  /// Prometheus' type of a metric.
  package enum Kind: String, Sendable {
    case counter
    case gauge
    case histogram
  }

  /// Labels of one number, in the order in which they are written.
  package typealias Labels = [(name: String, value: String)]

  /// Type of the metric.
  package let kind: Kind
  /// Name of the metric.
  package let name: String
  /// Text of the `# HELP` line.
  package let help: String
  /// None for a histogram.
  package let values: [(labels: Labels, number: Double)]
  /// Durations; `nil` for counters and gauges.
  package let histogram: DurationHistogram?

  /// One number.
  package init(_ kind: Kind, _ name: String, _ help: String, _ value: Double) {
    self.init(kind, name, help, [([], value)])
  }

  /// Numbers distinguished by labels; an empty family is not shown.
  package init(_ kind: Kind, _ name: String, _ help: String, _ values: [(Labels, Double)]) {
    self.kind = kind
    self.name = name
    self.help = help
    self.values = values.map { (labels: $0.0, number: $0.1) }
    histogram = nil
  }

  /// Histogram of durations.
  package init(_ name: String, _ help: String, _ histogram: DurationHistogram) {
    kind = .histogram
    self.name = name
    self.help = help
    values = []
    self.histogram = histogram
  }
}

/// Histogram of durations, with the cumulative buckets of Prometheus.
package struct DurationHistogram: Sendable {
  /// The buckets' upper bounds, in seconds.
  package static let bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5]
  /// Numbers of durations that were at most as long as the bound at the same index.
  package private(set) var counts = Array(repeating: 0, count: DurationHistogram.bounds.count)
  /// Number of all durations.
  package private(set) var count = 0
  /// In seconds.
  package private(set) var sum = 0.0

  package init() {}

  /// Counts one duration.
  package mutating func observe(_ duration: Duration) {
    let seconds = duration.inSeconds
    for (index, bound) in DurationHistogram.bounds.enumerated() where seconds <= bound { counts[index] += 1 }
    count += 1
    sum += seconds
  }
}

extension Duration {
  /// The duration as a number of seconds.
  package var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
