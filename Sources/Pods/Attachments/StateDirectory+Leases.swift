package import IPAM
package import NodeState

extension LeaseOwner {
  /// Owner of an attachment's leases.
  package init(_ attachment: Attachment) {
    self.init(containerID: attachment.containerID, interfaceName: attachment.interfaceName)
  }
}

extension StateDirectory {
  /// The leases of a network. An owner that has a record under this state directory lives in this boot.
  ///
  /// - Parameter isFromLease: whether addresses that any network of the data directory holds are taken.
  package func leases(of network: String, in dataDirectory: String, isFromLease: Bool = false) -> LeaseDirectory {
    let records = records
    return LeaseDirectory(
      dataDirectory: dataDirectory, network: network, stateDirectory: path,
      sharesAddressesAcrossNetworks: isFromLease
    ) { owner, network in
      records.contains(
        Attachment(network: network, containerID: owner.containerID, interfaceName: owner.interfaceName))
    }
  }
}
