package import Linux

/// Where this node's lease is written for the plugin.
package struct PublishedLease: Sendable, Equatable {
  /// `subnet.env`, which pods come from.
  package var subnetFile: String
  /// A copy that survives a reboot.
  package var leaseCopy: String
  /// Where the mark of the nodes file is kept.
  package var stateDirectory: String

  package init(subnetFile: String, leaseCopy: String, stateDirectory: String) {
    self.subnetFile = subnetFile
    self.leaseCopy = leaseCopy
    self.stateDirectory = stateDirectory
  }

  /// Where the agent writes which leases it holds in a store that gives them.
  package var leasesInStore: String { "\(leaseCopy).etcd" }

  /// What can be used of `subnet.env` and of the copy, in this order; each is read when it is asked for.
  package var leases: some Sequence<SubnetLease> {
    [subnetFile, leaseCopy].lazy.compactMap { try? SubnetLease.read($0) }
  }

  /// The last lease, after a reboot that of the copy; `nil` where there is none that can be used.
  package func read() -> SubnetLease? { leases.first { _ in true } }

  /// Takes the lease away from new pods: its subnets are another node's.
  package func withdraw() throws(SystemError) {
    try Files.remove(subnetFile)
    try Files.remove(leaseCopy)
  }

  /// Writes the lease where it differs and then the mark, so that who sees the mark finds the lease. Says whether the
  /// lease was another.
  package func publish(_ lease: SubnetLease, mark: NodesFileMark?) throws(SystemError) -> Bool {
    let content = Array(lease.text.utf8)
    let isNew = try Files.ensure(subnetFile, content)
    _ = try Files.ensure(leaseCopy, content)
    if let mark, !mark.isStored(in: stateDirectory) { try mark.store(in: stateDirectory) }
    return isNew
  }

  /// Removes all that the agent writes.
  package func remove() throws(SystemError) {
    try withdraw()
    try Files.remove(leasesInStore)
    try NodesFileMark.remove(from: stateDirectory)
  }
}
