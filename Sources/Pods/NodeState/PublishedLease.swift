package import Linux

/// The files in which the helper writes this node's lease for the plugin.
package struct PublishedLease: Sendable, Equatable {
  /// The path of `subnet.env`, from which the plugin takes the pods' subnet.
  package var subnetFile: String
  /// The path of a copy that survives a reboot.
  package var leaseCopy: String
  /// The directory that holds the mark of the nodes file.
  package var stateDirectory: String

  /// The files at these paths.
  package init(subnetFile: String, leaseCopy: String, stateDirectory: String) {
    self.subnetFile = subnetFile
    self.leaseCopy = leaseCopy
    self.stateDirectory = stateDirectory
  }

  /// The path of the file in which the agent records its leases in a store that assigns subnets.
  package var leasesInStore: String { "\(leaseCopy).etcd" }

  /// The valid leases of `subnet.env` and of the copy, in this order, each read on demand.
  package var leases: some Sequence<SubnetLease> {
    [subnetFile, leaseCopy].lazy.compactMap { try? SubnetLease.read($0) }
  }

  /// Reads the lease of `subnet.env`, or of the copy after a reboot; `nil` if neither file is valid.
  package func read() -> SubnetLease? { leases.first { _ in true } }

  /// Removes the lease, so that no new pod gets an address: its subnets belong to another node.
  package func withdraw() throws(SystemError) {
    try Files.remove(subnetFile)
    try Files.remove(leaseCopy)
  }

  /// Writes the lease if it differs, and then the mark, so that the lease is there when the mark is seen.
  ///
  /// - Returns: whether `subnet.env` was changed.
  package func publish(_ lease: SubnetLease, mark: NodesFileMark?) throws(SystemError) -> Bool {
    let content = Array(lease.text.utf8)
    let isNew = try Files.ensure(subnetFile, content)
    _ = try Files.ensure(leaseCopy, content)
    if let mark, !mark.isStored(in: stateDirectory) { try mark.store(in: stateDirectory) }
    return isNew
  }

  /// Removes all files that the agent writes.
  package func remove() throws(SystemError) {
    try withdraw()
    try Files.remove(leasesInStore)
    try NodesFileMark.remove(from: stateDirectory)
  }
}
