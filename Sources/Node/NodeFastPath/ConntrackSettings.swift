internal import Glibc
internal import Linux

/// What conntrack must take: it sees of a carried flow the beginning, the end, and a packet now and then, whose sequence
/// numbers lie far beyond those that it remembers. Without this they'd be "invalid", and many rulesets drop such ones.
struct ConntrackSettings {
  let stateDirectory: String

  /// Documentation/networking/nf_conntrack-sysctl.rst; the second came with Linux 5.14.
  private static let switches = ["nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_ignore_invalid_rst"]
  /// How long conntrack keeps a connection some of whose data it has not seen acknowledged, or seen sent again: five
  /// minutes, where one that rests is kept for days. Of a carried one it hardly sees an acknowledgement.
  private static let timeouts = ["nf_conntrack_tcp_timeout_unacknowledged", "nf_conntrack_tcp_timeout_max_retrans"]
  private static let restingTimeout = "nf_conntrack_tcp_timeout_established"

  private var path: String { "\(stateDirectory)/conntrack.before" }

  /// Whether it may be told.
  func check() throws(FastPathError) {
    try forEachSwitchThatIsOff { (name) throws(SystemError) in
      _ = try OwnedDescriptor.open("/proc/sys/net/netfilter/\(name)", O_WRONLY)
    }
  }

  func allowFlowsToReturn() throws(FastPathError) {
    try forEachSwitchThatIsOff { (name) throws(SystemError) in try set(name, "1", before: "0") }
    // Without the right to, flows that rest for long begin anew: most rules let them.
    do throws(SystemError) {
      guard let resting = try ConntrackSettings.read(ConntrackSettings.restingTimeout), let seconds = Int(resting)
      else {
        return
      }
      for name in ConntrackSettings.timeouts {
        guard let value = try ConntrackSettings.read(name), let present = Int(value), present < seconds else {
          continue
        }
        try set(name, resting, before: value)
      }
    } catch {}
  }

  private static func read(_ name: String) throws(SystemError) -> String? { try Sysctl.read("net/netfilter/\(name)") }

  private func set(_ name: String, _ value: String, before: String) throws(SystemError) {
    // First what it was, for the case that we don't come any further.
    let known = (try Files.read(path, limit: 4096)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    try Files.makeDirectory(stateDirectory)
    if !known.contains("\(name) ") { try Files.replace(path, with: Array((known + "\(name) \(before)\n").utf8)) }
    try Sysctl.ensure("net/netfilter/\(name)", value)
  }

  /// Where the node has no conntrack, nothing is to be done.
  private func forEachSwitchThatIsOff(_ body: (String) throws(SystemError) -> Void) throws(FastPathError) {
    for name in ConntrackSettings.switches {
      do throws(SystemError) {
        if try ConntrackSettings.read(name) == "0" { try body(name) }
      } catch {
        throw FastPathError("\(error); set net.netfilter.\(name) = 1, by sysctl.d for instance")
      }
    }
  }

  /// As they were before.
  func restore() throws(SystemError) {
    guard let text = try Files.read(path, limit: 4096) else { return }
    for line in String(decoding: text, as: UTF8.self).split(separator: "\n") {
      let words = line.split(separator: " ").map { String($0) }
      guard words.count == 2, (ConntrackSettings.switches + ConntrackSettings.timeouts).contains(words[0]) else {
        continue
      }
      try Sysctl.ensureIfPresent("net/netfilter/\(words[0])", words[1])
    }
    try Files.remove(path)
  }
}
