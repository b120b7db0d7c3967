package import IPAM
internal import NodeState

extension LeaseOwner {
  package init(_ attachment: Attachment) {
    self.init(containerID: attachment.containerID, interfaceName: attachment.interfaceName)
  }
}

extension LeaseDirectory {
  /// The leases of a network; an owner that has a record lives in this boot.
  package init(_ network: String, dataDirectory: String, _ stateDirectory: String, isFromLease: Bool) {
    let records = StateDirectory(stateDirectory).records
    self.init(
      dataDirectory: dataDirectory, network: network, stateDirectory: stateDirectory,
      sharesAddressesAcrossNetworks: isFromLease
    ) { owner, network in
      records.contains(
        Attachment(network: network, containerID: owner.containerID, interfaceName: owner.interfaceName))
    }
  }
}
