internal import FastPath
internal import JSON
internal import Nodes

/// A node's view for people: some lines, then a table of the other nodes.
struct StatusText {
  private let object: JSONObject
  private let isColored: Bool

  /// - Parameter object: as `StatusView` makes it.
  init(_ object: JSONObject, isColored: Bool) {
    self.object = object
    self.isColored = isColored
  }

  var lines: [String] {
    let store = object["store"]?.object
    return [
      "Node:   \(object["node"]?.string ?? "unknown")",
      "Store:  \(store?["kind"]?.string ?? "") \(store?["source"]?.string ?? "")\(storeState)", agentLine, leaseLine,
    ] + backendLine + rulesLine + fastPathLine + texts("errors").map { "\(painted("Error:", .red))  \($0)" }
      + texts("warnings").map { "\(painted("Note:", .yellow))   \($0)" } + repairs + table
  }

  private func texts(_ name: String) -> [String] { object[name]?.array?.compactMap(\.string) ?? [] }

  private var agentLine: String {
    guard case .bool(let isRunning)? = object["agentRunning"] else { return "Agent:  can't be seen (try as root)" }
    guard let agent = object["agent"]?.object else { return "Agent:  \(isRunning ? "runs" : "does not run")" }
    let obstacles = agent["waitingFor"]?.array?.compactMap(\.string) ?? []
    let state =
      obstacles.isEmpty
      ? painted("ready", .green) : painted("not ready", .red) + ": " + obstacles.joined(separator: "; ")
    return "Agent:  runs since \(agent["since"]?.string ?? "?"), \(state)"
  }

  /// Of a store that the agent speaks to.
  private var storeState: String {
    guard let store = object["store"]?.object, case .bool(let isConnected)? = store["connected"] else { return "" }
    if isConnected { return ", \(painted("connected", .green)), revision \(number(store["revision"]))" }
    return ", \(painted("not connected", .red)) since \(store["since"]?.string ?? "?")"
  }

  private var backendLine: [String] { object["backend"]?.string.map { ["Way:    \($0)"] } ?? [] }

  /// The rules on one line.
  private var rulesLine: [String] {
    guard let rules = object["rules"]?.object else { return [] }
    let masquerade = rules["masquerade"]?.string.map { "masquerade with \($0) ports" } ?? "no masquerade"
    let forward = rules["forward"] == true ? "forwarding accepted" : "forwarding left to others"
    let state = rules["state"]?.string ?? ""
    return [
      "Rules:  \(masquerade), \(forward); table \(rules["table"]?.string ?? "") "
        + (state == StatusView.hidden ? "can't be seen (try as root)" : state)
    ]
  }

  private var fastPathLine: [String] {
    guard let fastPath = object["fastPath"]?.object, let state = fastPath["state"]?.string else { return [] }
    guard state == "on" else { return ["Fast:   \(painted(state, state == "off" ? .yellow : .red))"] }
    let flows = fastPath["flows"]?.string.map { ", flows known by \($0)" } ?? ""
    let directions = [("from-pod", "from pods"), ("to-pod", "to pods")].map { key, words in
      let reasons = fastPath[key]?.object ?? [:]
      let total = reasons.members.reduce(Int64(0)) { $0 + (StatusText.packets($1.value) ?? 0) }
      return "\(words) \(StatusText.packets(reasons["carried"]) ?? 0) of \(total) packets carried"
    }
    return ["Fast:   \(painted("on", .green))\(flows); \(directions.joined(separator: ", "))"]
  }

  private static func packets(_ count: JSONValue?) -> Int64? {
    if case .integer(let packets)? = count?.object?["packets"] { packets } else { nil }
  }

  private var leaseLine: String {
    guard let lease = object["lease"]?.object else { return "Lease:  none" }
    let subnets = lease["subnets"]?.array?.compactMap(\.string).joined(separator: ", ") ?? ""
    let masquerade = lease["ipMasq"] == true ? "masquerade" : "no masquerade"
    return "Lease:  \(subnets), MTU \(number(lease["mtu"])), \(masquerade) (\(lease["file"]?.string ?? ""))"
      + (leaseState(lease) ?? "")
  }

  /// How it stands with it in a store that gives leases.
  private func leaseState(_ lease: JSONObject) -> String? {
    guard let state = lease["state"]?.string else { return nil }
    guard state == "held" else {
      return ", \(painted(state, .red))" + (lease["reason"]?.string.map { ": \($0)" } ?? "")
    }
    return ", \(painted("held", .green)) " + (lease["expiry"]?.string.map { "until \($0)" } ?? "for ever")
  }

  private func number(_ value: JSONValue?) -> String {
    if case .integer(let number)? = value { "\(number)" } else { "?" }
  }

  /// The last few.
  private var repairs: [String] {
    guard let agent = object["agent"]?.object, let last = agent["lastRepairs"]?.array, !last.isEmpty else { return [] }
    let count = ["repairs", "ruleRepairs"].reduce(Int64(0)) { sum, key in
      if case .integer(let number)? = agent[key] { sum + number } else { sum }
    }
    return ["", "\(count) repairs, the last of them:"]
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

  /// Its columns are as wide as they must be.
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

  /// SGR parameters (ECMA-48, 8.3.117).
  private enum Color: Int {
    case red = 31
    case green = 32
    case yellow = 33
  }

  private static func color(ofState state: String) -> Color {
    switch state {
    case "installed": .green
    case "no-subnet", "no-address", "off-link", "not-routed": .yellow
    default: .red
    }
  }

  private func painted(_ text: String, _ color: Color) -> String {
    isColored ? "\u{1B}[\(color.rawValue)m\(text)\u{1B}[0m" : text
  }
}
