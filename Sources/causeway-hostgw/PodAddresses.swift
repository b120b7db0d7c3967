internal import Addresses
internal import Linux

/// The addresses that pods of this node hold, as the files of the local IPAM tell.
enum PodAddresses {
  private static let directory = "/var/lib/cni/networks"

  /// Whether a pod holds one of the subnet; also where that can't be told.
  static func areIn(_ subnet: IPPrefix) -> Bool {
    do throws(SystemError) {
      for network in try Files.names(in: directory) {
        guard try Files.identity("\(directory)/\(network)")?.isDirectory == true else { continue }
        let names = try Files.names(in: "\(directory)/\(network)")
        // IPv6 addresses have colons, which host-local keeps on Linux.
        if names.contains(where: { IPAddress($0).map(subnet.contains) ?? false }) { return true }
      }
      return false
    } catch {
      return true
    }
  }
}
