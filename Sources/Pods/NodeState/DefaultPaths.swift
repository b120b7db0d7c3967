/// The default paths of the files that plugin and helper share on a node.
package enum DefaultPaths {
  /// The directory of locks, marks and records of this boot.
  package static let stateDirectory = "/run/causeway"
  /// The node's lease as the helper writes it.
  package static let subnetFile = "/run/causeway/subnet.env"
  /// The node's lease as flannel writes it.
  package static let flannelSubnetFile = "/run/flannel/subnet.env"
  /// A copy of the lease that survives a reboot.
  package static let leaseCopy = "/var/lib/causeway/lease.env"
  /// The nodes and their network, as the file store reads them.
  package static let nodesFile = "/etc/causeway/nodes.json"
  /// The local IPAM's leases, one directory for each network (host-local's `dataDir`).
  package static let dataDirectory = "/var/lib/cni/networks"
}
