package import Addresses
internal import Linux

/// A leased address with the settings that a pod needs to use it.
package struct Allocation: Sendable, Equatable {
  /// The address with the prefix length of its subnet.
  package let address: IPPrefix
  /// The gateway of the address's range.
  package let gateway: IPAddress
  /// The position of the range set that the address comes from.
  package let rangeSet: Int
}

extension LeaseDirectory {
  /// Leases one address of each range set to the owner, or none at all.
  ///
  /// - Parameter requested: addresses to lease in place of the next free ones, at most one of each set.
  /// - Throws: `locked`, `duplicate`, `exhausted`, or an error about a requested address.
  package func allocate(
    _ owner: LeaseOwner, from rangeSets: [RangeSet], requested: [IPAddress]
  ) throws(IPAMError) -> [Allocation] {
    let demands = try demands(of: owner, on: rangeSets, requested: requested)
    let claim = try claimAllNetworks()
    var leases = try openOrMake()
    try checkNoDuplicate(leases, owner, demands: demands)
    let others: OtherNetworks
    do throws(SystemError) { others = try otherNetworks() } catch { throw .system(error) }
    var allocations: [Allocation] = []
    do throws(IPAMError) {
      for demand in demands { allocations.append(try leases.lease(demand, besides: others)) }
    } catch {
      leases.undo()
      leases.updateIndex()
      throw error
    }
    leases.updateIndex()
    _ = consume claim
    return allocations
  }

  /// Checks that the index works and that the owner holds no address of a set without a request.
  private func checkNoDuplicate(
    _ leases: borrowing LockedLeases, _ owner: LeaseOwner, demands: [Demand]
  ) throws(IPAMError) {
    let held: [AddressLease]
    do throws(SystemError) {
      if let failure = leases.indexFailure { throw failure }
      held = try leases.leases(of: owner)
    } catch {
      throw .system(error)
    }
    for demand in demands where demand.request == nil {
      guard let lease = held.first(where: { demand.set.contains($0.address) }) else { continue }
      throw .duplicate(rangeSet: demand.index, held: lease.address, by: owner)
    }
  }
}

/// One demand for each set, with the first requested address that the set contains.
private func demands(
  of owner: LeaseOwner, on sets: [RangeSet], requested: [IPAddress]
) throws(IPAMError) -> [Demand] {
  var pending: [IPAddress] = []
  for address in requested where !pending.contains(address) { pending.append(address) }
  let demands = sets.enumerated().map { index, set in
    let request = pending.firstIndex { set.contains($0) }.map { pending.remove(at: $0) }
    return Demand(owner: owner, set: set, index: index, request: request)
  }
  guard pending.isEmpty else { throw .requestedOutside(pending) }
  return demands
}
