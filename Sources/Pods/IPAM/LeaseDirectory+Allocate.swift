package import Addresses
internal import Linux

/// An address that was leased, and what a pod needs to use it.
package struct Allocation: Sendable, Equatable {
  /// With the length of its subnet.
  package let address: IPPrefix
  package let gateway: IPAddress
  /// Which of the range sets it comes from.
  package let rangeSet: Int
}

extension LeaseDirectory {
  /// Leases one address of each range set to the owner, or none at all.
  ///
  /// Each set takes the first of the requested addresses that is its own in place of its next free one.
  ///
  /// - Throws: besides what is wrong with an address, `locked`.
  package func allocate(
    _ owner: LeaseOwner, from rangeSets: [RangeSet], requested: [IPAddress]
  ) throws(IPAMError) -> [Allocation] {
    let demands = try demands(of: owner, on: rangeSets, requested)
    let claim = try claimAllNetworks()
    var leases = try openOrMake()
    let neighbours = try neighbours(leases, owner, demands)
    var allocations: [Allocation] = []
    do throws(IPAMError) {
      for demand in demands { allocations.append(try leases.lease(demand, neighbours)) }
    } catch {
      leases.undo()
      leases.seal()
      throw error
    }
    leases.seal()
    _ = consume claim
    return allocations
  }

  /// The last looks before anything is leased.
  private func neighbours(
    _ leases: borrowing LockedLeases, _ owner: LeaseOwner, _ demands: [Demand]
  ) throws(IPAMError) -> Neighbours {
    let held: [HeldLease]
    let neighbours: Neighbours
    do throws(SystemError) {
      if let failure = leases.indexFailure { throw failure }
      held = try leases.leases(of: owner)
      neighbours = try self.neighbours()
    } catch {
      throw .system(error)
    }
    for demand in demands where demand.request == nil {
      guard let lease = held.first(where: { demand.set.contains($0.address) }) else { continue }
      throw .duplicate(rangeSet: demand.index, held: lease.address, by: owner)
    }
    return neighbours
  }
}

/// What is wanted of each set; each serves at most one request.
private func demands(
  of owner: LeaseOwner, on sets: [RangeSet], _ requested: [IPAddress]
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
