internal import Linux
internal import NodeFastPath

extension Options {
  /// What an agent keeps of root's rights, for all its life.
  var capabilities: Capabilities {
    // Directories and keys may be another user's: kubespray makes those of CNI for kube, etcd's keys are etcd's.
    var kept: Capabilities = [.administerNetwork, .overrideFileModes]
    if (1..<1024).contains(healthzPort) { kept.insert(.bindLowPorts) }
    // DEL looks by iptables-legacy for what the reference plugins left there.
    if collectsPods { kept.insert(.openRawSockets) }
    if fastPath != .off { kept.formUnion(.loadPrograms) }
    return kept
  }

  /// Whether pods that are no more are deleted.
  var collectsPods: Bool { cniConfFile?.isEmpty == false && gcInterval > .zero }
}
