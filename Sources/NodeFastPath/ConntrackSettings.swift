internal import Glibc
internal import Linux

/// What conntrack must take: it sees of a carried flow the beginning, the end, and a packet now and then, whose sequence
/// numbers lie far beyond those that it remembers. Without this they'd be "invalid", and many rulesets drop such ones.
struct ConntrackSettings {
  let stateDirectory: String

  /// Documentation/networking/nf_conntrack-sysctl.rst; the second came with Linux 5.14.
  private static let names = ["nf_conntrack_tcp_be_liberal", "nf_conntrack_tcp_ignore_invalid_rst"]

  private var path: String { "\(stateDirectory)/conntrack.before" }

  /// Whether it may be told.
  func check() throws(FastPathError) {
    try forEachToBeSet { (name) throws(SystemError) in
      _ = try OwnedDescriptor.open("/proc/sys/net/netfilter/\(name)", O_WRONLY)
    }
  }

  func allowFlowsToReturn() throws(FastPathError) {
    try forEachToBeSet { (name) throws(SystemError) in
      // First what it was, for the case that we don't come any further.
      let known = (try Files.read(path, limit: 4096)).map { String(decoding: $0, as: UTF8.self) } ?? ""
      try Files.makeDirectory(stateDirectory)
      if !known.contains(name) { try Files.replace(path, with: Array((known + "\(name)\n").utf8)) }
      try Sysctl.ensure("net/netfilter/\(name)", "1")
    }
  }

  /// Where the node has no conntrack, nothing is to be done.
  private func forEachToBeSet(_ body: (String) throws(SystemError) -> Void) throws(FastPathError) {
    for name in ConntrackSettings.names {
      do throws(SystemError) {
        if try Sysctl.read("net/netfilter/\(name)") == "0" { try body(name) }
      } catch {
        throw FastPathError("\(error); set net.netfilter.\(name) = 1, by sysctl.d for instance")
      }
    }
  }

  /// As they were before.
  func restore() throws(SystemError) {
    guard let text = try Files.read(path, limit: 4096) else { return }
    let changed = String(decoding: text, as: UTF8.self).split(separator: "\n")
    for name in ConntrackSettings.names where changed.contains(name[...]) {
      try Sysctl.ensureIfPresent("net/netfilter/\(name)", "0")
    }
    try Files.remove(path)
  }
}
