internal import Nodes
internal import NodeState
internal import Parts

extension AgentState.Facts {
  /// Metrics of the agent and its parts, in Prometheus' text format.
  ///
  /// - Parameter source: where the nodes come from.
  func metrics(source: String) -> String {
    var text = MetricsText()
    for metric in ownMetrics(source: source) { text.add(metric) }
    for part in parts { for metric in part.metrics(of: records[part.name]) { text.add(metric) } }
    return text.text
  }

  private func ownMetrics(source: String) -> [Metric] {
    let faults = parts.filter { $0.stage < .extras }.flatMap { $0.findings(of: records[$0.name]).faults }
    let metrics = [
      Metric(
        .gauge, "causeway_info", "The version, and where the nodes come from.",
        [([("version", Version.current), ("store", source)], 1)]),
      Metric(.gauge, "causeway_start_time_seconds", "When the agent started, since the epoch.", start.inSeconds),
      Metric(
        .gauge, "causeway_ready", "Whether routes, lease and network configuration are in.", obstacle == nil ? 1 : 0),
      Metric(
        .gauge, "causeway_store_up", "Whether the last reading of the nodes succeeded.",
        storeFailure == nil && store?.isConnected != false ? 1 : 0),
      Metric(.gauge, "causeway_problems", "What else is wrong; status shows it.", Double(faults.count)),
    ]
    guard let revision = store?.revision else { return metrics }
    return metrics
      + [Metric(.gauge, "causeway_store_revision", "The store's revision that is known.", Double(revision))]
  }
}
