import JSON
import Testing
import TestSupport

/// State of the fast path on a node, as `tc` and `bpftool` show it.
extension TestNode {
  /// The fast path's programs at a link's hooks, such as "ingress from_pod 42", where 42 is the kernel's ID. Filters of
  /// others are left out.
  func programs(_ link: String) throws -> [String] {
    try ["ingress", "egress"].flatMap { hook in
      try lines("tc filter show dev \(link) \(hook) 2>/dev/null || true").compactMap { line in
        let words = line.split(separator: " ")
        guard line.contains("pref 50000 "), let handle = words.firstIndex(of: "handle"),
          let id = words.firstIndex(of: "id")
        else { return nil }
        return "\(hook) \(words[handle + 2]) \(words[id + 1])"
      }
    }
  }

  /// The fast path's programs at a link's hooks, without their IDs.
  func programNames(_ link: String) throws -> [String] {
    try programs(link).map { String($0.prefix(upTo: $0.lastIndex(of: " ") ?? $0.endIndex)) }
  }

  static var nodePrograms: [String] { ["ingress from_node", "egress to_node"] }
  static var podPrograms: [String] { ["ingress from_pod", "egress to_pod"] }

  /// The entries of a map: keys and values as hexadecimal digits.
  func entries(_ map: String) throws -> [String: String] {
    let json = try run(["bpftool", "-j", "map", "dump", "pinned", "/sys/fs/bpf/causeway/\(map)"]).succeeded().output
    var entries: [String: String] = [:]
    for entry in try JSONValue(parsing: Array(json.utf8)).array?.compactMap(\.object) ?? [] {
      func digits(_ name: String) -> String {
        (entry[name]?.array ?? []).compactMap { $0.string?.dropFirst(2) }.joined()
      }
      entries[digits("key")] = digits("value")
    }
    return entries
  }

  /// The kernel's IDs of the maps.
  func mapNumbers() throws -> [Int64] {
    try ["pods", "peers", "counts", "flows"].map { name in
      let json = try run(["bpftool", "-j", "map", "show", "pinned", "/sys/fs/bpf/causeway/\(name)"]).succeeded().output
      guard case .integer(let id)? = try JSONValue(parsing: Array(json.utf8)).object?["id"] else { return -1 }
      return id
    }
  }

  /// Removes an entry. The key has the form of `entries`.
  func removeEntry(_ map: String, _ key: String) throws {
    try sh("bpftool map delete pinned /sys/fs/bpf/causeway/\(map) key hex \(TestNode.bytes(key))")
  }

  /// Sets an entry. Key and value have the form of `entries`.
  func setEntry(_ map: String, _ key: String, value: String) throws {
    try sh(
      "bpftool map update pinned /sys/fs/bpf/causeway/\(map) key hex \(TestNode.bytes(key)) value hex \(TestNode.bytes(value))"
    )
  }

  private static func bytes(_ digits: String) -> String {
    stride(from: 0, to: digits.count, by: 2).map { String(digits.dropFirst($0).prefix(2)) }.joined(separator: " ")
  }

  /// The host's end of a pod's veth pair.
  func hostVeth(_ pod: String = "pod") throws -> String {
    let inside = try ip(json: "link", "show", "eth0", inPod: pod).first?["link_index"]
    let link = try ip(json: "link", "show", "type", "veth").first { $0["ifindex"] == inside }
    return try #require(link?["ifname"]?.string)
  }

  /// Sends ten pings from `pod`. All must be answered and most of them carried; the first ones take the slow path.
  ///
  /// - Parameter carried: returns how many packets from the node's pods have been carried so far.
  func expectCarriedPings(to address: String, carried: () throws -> Int64) throws {
    let before = try carried()
    let ping = try run(inPod: "pod", ["ping", "-nc", "10", "-i", "0.2", "-W", "5", address])
    #expect(ping.output.contains("10 received"), "\(ping)")
    let after = try carried()
    #expect(after - before >= 6, "\(before) \(after)")
  }

  /// Removes all pins by one rename, before the agent can react to the first.
  func removePins() throws {
    try sh("mv /sys/fs/bpf/causeway /sys/fs/bpf/gone && rm -r /sys/fs/bpf/gone")
  }

  /// All state of the fast path on this node; none if it is off.
  func fastPathRemains() throws -> [String] {
    try lines("tc qdisc show | grep clsact || true")
      + lines("find /sys/fs/bpf/causeway* /run/causeway/fast-path.mark 2>/dev/null || true")
  }
}
