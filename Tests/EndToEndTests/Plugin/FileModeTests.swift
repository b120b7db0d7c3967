import JSON
import Testing
import TestSupport

/// Owners and modes of the files that both programs write, for any umask of their caller.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct FileModeTests {
  @Test(arguments: ["000", "022", "077"])
  func filesHaveTheirModesUnderAnyUmask(_ mask: String) throws {
    let cluster = try Cluster(2)
    let node = cluster.nodes[0]
    try node.sh("echo '{}' >/etc/causeway/conf; rm -rf /run/causeway /var/lib/causeway/* /var/lib/cni/*")
    let masked = ["/bin/sh", "-c", "umask \(mask); exec \"$@\"", "sh"]
    let agent = try node.start(
      masked + [
        Binaries.hostgw, "run", "--cni-conf-source", "/etc/causeway/conf", "--cni-conf-file",
        "/etc/cni/net.d/10-c.conflist",
      ])
    #expect(
      try eventually { try node.run(["test", "-e", "/etc/cni/net.d/10-c.conflist"]).status == 0 }, "\(agent.output)")
    #expect(try eventually { try node.run(["test", "-S", "/run/causeway/agent.sock"]).status == 0 }, "\(agent.output)")
    try node.addPod("a")
    var runtime = Runtime(node: node)
    runtime.plugin = "/opt/cni/bin/masked"
    try node.sh(
      "printf '#!/bin/sh\\numask \(mask)\\nexec \(Binaries.causeway)\\n' >/opt/cni/bin/masked; chmod 755 /opt/cni/bin/masked"
    )
    try runtime.add("a", runtime.configuration(["ipam": .null, "ipMasq": true]))
    let listed = try node.sh(
      "find /run/causeway /var/lib/causeway /var/lib/cni /etc/cni/net.d -printf '%y %m %u:%g %p\\n'")
    let strange = listed.split(separator: "\n").filter { !isExpected(String($0), mask) }
    #expect(strange.isEmpty, "\(strange)")
    for path in [
      "/run/causeway/agent.sock", "/run/causeway/subnet.env", "/run/causeway/attachments/",
      "/var/lib/causeway/lease.env",
      "/var/lib/cni/networks/podnet/10.244.1.2", "/var/lib/cni/networks/podnet/last_reserved_ip.0", "10-c.conflist",
    ] { #expect(listed.contains(path), "\(listed)") }
    // Only root can query the agent.
    let other = try node.run([
      "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", Binaries.hostgw, "status",
    ])
    #expect(!other.output.contains("Agent:   runs since"), "\(other)")
    #expect(try node.hostgw("status").output.contains("Agent:   runs since"))
    // By default nothing listens on the network.
    #expect(try node.sh("ss -Hlntu").isEmpty)
  }

  /// The table of conf/docs/security.md. The caller's umask may remove bits from the modes of the plugin's files.
  private func isExpected(_ line: String, _ mask: String) -> Bool {
    let parts = line.split(separator: " ").map { String($0) }
    guard parts.count == 4, parts[2] == "root:root", let mode = UInt32(parts[1], radix: 8) else { return false }
    let (path, name) = (parts[3], parts[3].split(separator: "/").last ?? "")
    let wanted: UInt32
    switch (parts[0], path) {
    case ("s", "/run/causeway/agent.sock"): wanted = 0o755
    case ("d", _) where path.hasPrefix("/run/causeway/attachments") || path.hasPrefix("/run/causeway/ipam"):
      wanted = 0o700
    case ("d", _): wanted = 0o755
    case ("f", _) where name.hasPrefix("last_reserved_ip"): wanted = 0o644
    case ("f", "/run/causeway/subnet.env"), ("f", "/var/lib/causeway/lease.env"),
      ("f", "/run/causeway/nodes-file.mark"),
      ("f", "/run/causeway/rules.mark"):
      wanted = 0o644
    case ("f", _) where path.hasPrefix("/etc/cni/net.d/"): wanted = 0o644
    case ("f", _) where path.hasPrefix("/run/causeway/") || path.hasPrefix("/var/lib/"): wanted = 0o600
    default: return false
    }
    return mode == wanted || path.hasPrefix("/var/lib/cni") && mode == wanted & ~(UInt32(mask, radix: 8) ?? 0)
  }
}
