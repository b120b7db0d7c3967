internal import JSON
internal import Parts

/// The text of `status`: some lines, then a table of the other nodes.
struct StatusText {
  private let object: JSONObject
  private let parts: [any NodePart]
  private let painted: StatusPaint

  /// - Parameters:
  ///   - object: from `StatusView`.
  ///   - parts: in the order of their stages.
  init(_ object: JSONObject, _ parts: [any NodePart], isColored: Bool) {
    self.object = object
    self.parts = parts
    painted = StatusPaint(isColored: isColored)
  }

  var lines: [String] {
    let store = object["store"]?.object
    return [
      "Node:    \(object["node"]?.string ?? "unknown")",
      "Store:   \(store?["kind"]?.string ?? "") \(store?["source"]?.string ?? "")\(storeState)", agentLine,
    ] + parts.flatMap { $0.lines(object, painted) } + texts("errors").map { "\(painted("Error:", .red))   \($0)" }
      + texts("warnings").map { "\(painted("Warning:", .yellow)) \($0)" } + repairs + table
  }

  private func texts(_ name: String) -> [String] { object[name]?.array?.compactMap(\.string) ?? [] }

  private var agentLine: String {
    guard case .bool(let isRunning)? = object["agentRunning"] else { return "Agent:   can't be seen (try as root)" }
    guard let agent = object["agent"]?.object else { return "Agent:   \(isRunning ? "runs" : "does not run")" }
    let obstacles = agent["waitingFor"]?.array?.compactMap(\.string) ?? []
    let state =
      obstacles.isEmpty
      ? painted("ready", .green) : painted("not ready", .red) + ": " + obstacles.joined(separator: "; ")
    return "Agent:   runs since \(agent["since"]?.string ?? "?"), \(state)"
  }

  /// The state of a store that the agent speaks to.
  private var storeState: String {
    guard let store = object["store"]?.object, case .bool(let isConnected)? = store["connected"] else { return "" }
    if isConnected { return ", \(painted("connected", .green)), revision \(number(store["revision"]))" }
    return ", \(painted("not connected", .red)) since \(store["since"]?.string ?? "?")"
  }

  private func number(_ value: JSONValue?) -> String {
    if case .integer(let number)? = value { "\(number)" } else { "?" }
  }

  /// The number of repairs, and the last of them.
  private var repairs: [String] {
    guard let agent = object["agent"]?.object, let last = agent["lastRepairs"]?.array, !last.isEmpty else { return [] }
    let count = parts.compactMap(\.repairsKey).reduce(Int64(0)) { sum, key in
      if case .integer(let number)? = agent[key] { sum + number } else { sum }
    }
    return ["", count == 1 ? "1 repair:" : "\(count) repairs, the last of them:"]
      + last.prefix(5).compactMap(\.object).map { repair in
        let nouns = [("rules", ""), ("subnet", ""), ("nextHop", "via "), ("device", "dev "), ("node", "for ")]
          .compactMap {
            key, word in
            repair[key]?.string.map { word + $0 }
          }
        return "  \(repair["time"]?.string ?? "")  \(repair["what"]?.string ?? ""): \(nouns.joined(separator: " "))"
      }
  }

  // MARK: The table

  private static let columns = [
    ("NODE", "node"), ("SUBNET", "subnet"), ("NEXT HOP", "nextHop"), ("DEVICE", "device"), ("STATE", "state"),
    ("REASON", "reason"),
  ]

  /// Each column is as wide as its longest text.
  private var table: [String] {
    let peers = object["peers"]?.array?.compactMap(\.object) ?? []
    guard !peers.isEmpty else { return [] }
    let rows =
      [StatusText.columns.map(\.0)]
      + peers.map { peer in StatusText.columns.map { peer[$0.1]?.string ?? ($0.1 == "reason" ? "" : "-") } }
    let widths = StatusText.columns.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return [""]
      + rows.enumerated().map { index, row in
        let cells = zip(row, widths).enumerated().map { column, cell in
          let padding = column == row.count - 1 ? "" : String(repeating: " ", count: cell.1 - cell.0.count)
          let isState = index > 0 && StatusText.columns[column].1 == "state"
          return (isState ? painted(cell.0, StatusText.color(ofState: cell.0)) : cell.0) + padding
        }
        let line = cells.joined(separator: "  ")
        return String(line[..<(line.lastIndex { $0 != " " }.map(line.index(after:)) ?? line.startIndex)])
      }
  }

  // MARK: Color

  private static func color(ofState state: String) -> StatusPaint.Color {
    switch state {
    case "installed": .green
    case "no-subnet", "no-address", "off-link", "not-routed": .yellow
    default: .red
    }
  }
}
