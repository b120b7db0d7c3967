package import Addresses
internal import IPAM
internal import Linux
internal import NodeState

/// The addresses that pods of this node hold, as the leases of the local IPAM and the plugin's records tell.
package struct HeldAddresses: Sendable {
  private let state: StateDirectory

  package init(stateDirectory: String) {
    state = StateDirectory(stateDirectory)
  }

  /// Each once, in order, of whatever network.
  package func all() throws -> [IPAddress] {
    let records = try state.records.all()
    var held = records.flatMap(\.addresses)
    for directory in records.dataDirectories {
      for network in try Files.names(in: directory) {
        guard try Files.identity("\(directory)/\(network)")?.isDirectory == true else { continue }
        held += try LeaseDirectory(network, dataDirectory: directory, state.path, isFromLease: false).addresses()
      }
    }
    held.sort()
    var last: IPAddress?
    return held.filter { address in
      defer { last = address }
      return address != last
    }
  }

  /// Whether a pod holds one of the subnet; also where that can't be told.
  package func areIn(_ subnet: IPPrefix) -> Bool {
    (try? all().contains { subnet.contains($0) }) ?? true
  }
}

extension [AttachmentRecord] {
  /// Where leases may lie: the usual place, and whatever else attachments of this boot were configured with.
  package var dataDirectories: [String] {
    var directories = [DefaultPaths.dataDirectory]
    for record in self where !record.dataDirectory.isEmpty {
      if !directories.contains(record.dataDirectory) { directories.append(record.dataDirectory) }
    }
    return directories
  }
}
