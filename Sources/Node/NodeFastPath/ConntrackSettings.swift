internal import Glibc
internal import Linux

/// Settings of conntrack that carried TCP connections need.
///
/// Conntrack sees the beginning and the end of a carried connection, and one packet in 15 seconds. The sequence numbers
/// of these packets lie far beyond the last ones that it knows. By default it calls such packets invalid, and many
/// rulesets drop invalid packets.
struct ConntrackSettings {
  /// Directory of the file that keeps the old values.
  let stateDirectory: String

  /// Settings that must be 1 (Documentation/networking/nf_conntrack-sysctl.rst). The second exists since Linux 5.14.
  private static let switches = ["nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_ignore_invalid_rst"]
  /// Time that conntrack keeps connections with unacknowledged or retransmitted data: five minutes by default, where an
  /// idle connection is kept for days. Conntrack hardly sees an acknowledgement of a carried connection.
  private static let timeouts = ["nf_conntrack_tcp_timeout_unacknowledged", "nf_conntrack_tcp_timeout_max_retrans"]
  /// Time that conntrack keeps an idle connection.
  private static let idleTimeout = "nf_conntrack_tcp_timeout_established"

  private var path: String { "\(stateDirectory)/conntrack.before" }

  /// Checks that the switches are set, or that this process may set them.
  func check() throws(FastPathError) {
    try forEachUnsetSwitch { (name) throws(SystemError) in
      _ = try OwnedDescriptor.open("/proc/sys/net/netfilter/\(name)", O_WRONLY)
    }
  }

  /// Sets the switches, and the timeouts if they are shorter than the one of idle connections.
  func allowFlowsToReturn() throws(FastPathError) {
    try forEachUnsetSwitch { (name) throws(SystemError) in try set(name, "1", before: "0") }
    // Failures here are harmless: a connection that was idle for long counts as new, and most rulesets allow that.
    do throws(SystemError) {
      guard let idle = try ConntrackSettings.read(ConntrackSettings.idleTimeout), let seconds = Int(idle)
      else {
        return
      }
      for name in ConntrackSettings.timeouts {
        guard let value = try ConntrackSettings.read(name), let present = Int(value), present < seconds else {
          continue
        }
        try set(name, idle, before: value)
      }
    } catch {}
  }

  private static func read(_ name: String) throws(SystemError) -> String? { try Sysctl.read("net/netfilter/\(name)") }

  private func set(_ name: String, _ value: String, before: String) throws(SystemError) {
    // The old value is stored before the setting changes, in case this process is killed in between.
    let known = (try Files.read(path, limit: 4096)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    try Files.makeDirectory(stateDirectory)
    if !known.contains("\(name) ") { try Files.replace(path, with: Array((known + "\(name) \(before)\n").utf8)) }
    try Sysctl.ensure("net/netfilter/\(name)", value)
  }

  /// Calls `body` with the name of every switch that is 0. There are none if the kernel has no conntrack.
  private func forEachUnsetSwitch(_ body: (String) throws(SystemError) -> Void) throws(FastPathError) {
    for name in ConntrackSettings.switches {
      do throws(SystemError) {
        if try ConntrackSettings.read(name) == "0" { try body(name) }
      } catch {
        throw FastPathError("\(error); set net.netfilter.\(name) = 1, by sysctl.d for instance")
      }
    }
  }

  /// Restores the values from before `allowFlowsToReturn`, and removes the file that keeps them.
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
