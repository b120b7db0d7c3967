internal import Addresses
internal import Attachments
package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import NodeState

/// Verbs of host-local: addresses for another plugin's interface.
package struct IPAMRequest {
  private let network: NetworkConfiguration
  private let addressing: AddressConfiguration
  private let rangeSets: [RangeSet]

  /// Reads and checks the IPAM section; without ranges our own IPAM (`"type": "causeway"`) gives addresses of
  /// the node's lease.
  ///
  /// - Throws: code 11 where there are neither ranges nor a lease.
  package init(_ network: NetworkConfiguration, arguments: Arguments) throws(PodNetworkError) {
    guard try fromJSON(network.fields.fields("ipam")) != nil else {
      throw PodNetworkError(
        .invalidConfiguration, "IPAM config missing 'ipam' key", details: "add ipam with its ranges")
    }
    self.network = network
    addressing = try AddressConfiguration(network, network.fields, arguments: arguments)
    let source = try LeaseSource(network.fields, for: .ipam)
    rangeSets = try addressing.rangeSets(orOf: fromLease(source.read()), source)
  }

  private var leases: LeaseDirectory {
    StateDirectory(DefaultPaths.stateDirectory).leases(
      of: network.name, in: addressing.dataDirectory, isFromLease: addressing.rangeSets.isEmpty)
  }

  /// ADD: an address of each range set, or none if the `answer` fails.
  package func allocate(_ invocation: Invocation, answer: (AttachmentResult) throws(PodNetworkError) -> Void)
    throws(PodNetworkError)
  {
    let owner = LeaseOwner(Attachment(invocation, network: network.name))
    let allocations = try fromIPAM(leases.allocate(owner, from: rangeSets, requested: addressing.requested))
    do throws(PodNetworkError) {
      try answer(
        AttachmentResult(
          ips: allocations.map { .init(address: $0.address, gateway: $0.gateway) }, routes: addressing.routes,
          dns: addressing.dns))
    } catch {
      _ = try? leases.release(owner)
      throw error
    }
  }

  /// CHECK: the container has an address.
  package func check(_ invocation: Invocation) throws(PodNetworkError) {
    guard try fromIPAM(leases.find(LeaseOwner(Attachment(invocation, network: network.name)))).isEmpty else { return }
    throw PodNetworkError(
      .notAsMade, "host-local: Failed to find address added by container \(invocation.containerID)",
      details: "no file under \(addressing.dataDirectory)/\(network.name) names it")
  }

  /// STATUS: the leases can be written.
  package func report() throws(PodNetworkError) { try addressing.checkWritable() }
}

/// DEL: frees the container's addresses; absence and a broken section are success.
package func releaseAddresses(_ invocation: Invocation, _ network: NetworkConfiguration) throws(PodNetworkError) {
  _ = try fromIPAM(leases(network).release(LeaseOwner(Attachment(invocation, network: network.name))))
}

/// GC: frees the addresses of all attachments that are not in the valid list.
package func collectAddresses(_ network: NetworkConfiguration) throws(PodNetworkError) {
  guard let valid = try validAttachments(network) else { return }
  _ = try fromIPAM(leases(network).collect(keeping: Set(valid.map { LeaseOwner($0) })))
}

private func leases(_ network: NetworkConfiguration) -> LeaseDirectory {
  StateDirectory(DefaultPaths.stateDirectory).leases(
    of: network.name, in: AddressConfiguration.dataDirectory(try? network.fields.fields("ipam")))
}
