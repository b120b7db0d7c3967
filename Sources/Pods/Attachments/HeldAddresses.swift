package import Addresses
package import IPAM
internal import Linux
internal import NodeState

/// Addresses that pods of this node hold, by the leases of the built-in IPAM and the plugin's records.
package struct HeldAddresses: Sendable {
  private let state: StateDirectory

  package init(stateDirectory: String) {
    state = StateDirectory(stateDirectory)
  }

  /// Addresses of all networks, in order, each once.
  package func all() throws(IPAMError) -> [IPAddress] {
    var held: [IPAddress] = []
    var leases: [LeaseDirectory] = []
    do throws(SystemError) {
      let records = try state.records.all()
      held = records.flatMap { $0.addresses }
      for directory in records.dataDirectories {
        for network in try Files.names(in: directory)
        where try Files.identity("\(directory)/\(network)")?.isDirectory == true {
          leases.append(state.leases(of: network, in: directory))
        }
      }
    } catch {
      throw .system(error)
    }
    for directory in leases { held += try directory.addresses() }
    held.sort()
    var last: IPAddress?
    return held.filter { address in
      defer { last = address }
      return address != last
    }
  }

  /// Whether a pod holds an address of the subnet; true also where this cannot be read.
  package func areIn(_ subnet: IPPrefix) -> Bool {
    (try? all().contains { subnet.contains($0) }) ?? true
  }
}

extension [AttachmentRecord] {
  /// Directories that may hold leases: the default, and those that attachments of this boot were configured with.
  package var dataDirectories: [String] {
    var directories = [DefaultPaths.dataDirectory]
    for record in self where !record.dataDirectory.isEmpty {
      if !directories.contains(record.dataDirectory) { directories.append(record.dataDirectory) }
    }
    return directories
  }
}
