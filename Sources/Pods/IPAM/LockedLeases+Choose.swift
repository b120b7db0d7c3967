internal import Addresses
internal import Linux

/// The demand for one address of a range set.
struct Demand: Sendable {
  let owner: LeaseOwner
  let set: RangeSet
  /// The set's position in the configuration, which numbers the `last_reserved_ip` files.
  let index: Int
  /// The address of the set that is requested; `nil` for any.
  let request: IPAddress?

  fileprivate func allocation(_ address: IPAddress, _ range: AddressRange) -> Allocation? {
    IPPrefix(address, length: range.subnet.length).map {
      Allocation(address: $0, gateway: range.gateway, rangeSet: index)
    }
  }
}

extension LockedLeases {
  /// Leases the requested address, or the set's next free one.
  ///
  /// - Parameter others: the networks that must not hold the address either.
  mutating func lease(_ demand: Demand, besides others: OtherNetworks) throws(IPAMError) -> Allocation {
    guard let request = demand.request, let range = demand.set.range(of: request) else {
      return try leaseAny(demand, besides: others)
    }
    guard request != range.gateway else { throw .requestedGateway(rangeSet: demand.index, request) }
    do throws(SystemError) {
      if let allocation = try leaseIfFree(request, in: range, for: demand, besides: others) { return allocation }
    } catch {
      throw .system(error)
    }
    throw .requestedHeld(rangeSet: demand.index, request, ranges: demand.set)
  }

  private mutating func leaseAny(_ demand: Demand, besides others: OtherNetworks) throws(IPAMError) -> Allocation {
    do throws(SystemError) {
      if let allocation = try leaseNextFree(demand, besides: others) { return allocation }
      // The index alone is no reason to refuse: the set is full only if the lease files say so.
      if !isScanned {
        try rebuild()
        if let allocation = try leaseNextFree(demand, besides: others) { return allocation }
      }
    } catch {
      throw .system(error)
    }
    throw .exhausted(rangeSet: demand.index, ranges: demand.set)
  }

  private mutating func leaseNextFree(
    _ demand: Demand, besides others: OtherNetworks
  ) throws(SystemError) -> Allocation? {
    for stretch in demand.set.roundRobin(after: files.lastReserved(demand.index)) {
      var start: IPAddress? = stretch.first
      while let candidate = try firstFree(from: start, through: stretch.last, besides: others) {
        if candidate != stretch.range.gateway,
          let allocation = try leaseIfFree(candidate, in: stretch.range, for: demand, besides: others)
        {
          return allocation
        }
        start = candidate.advanced(by: 1)
      }
    }
    return nil
  }

  /// Leases the address; `nil` if this or another network holds it.
  private mutating func leaseIfFree(
    _ address: IPAddress, in range: AddressRange, for demand: Demand, besides others: OtherNetworks
  ) throws(SystemError) -> Allocation? {
    guard !others.hold(address), try create(address, demand.owner, rangeSet: demand.index) else { return nil }
    return demand.allocation(address, range)
  }

  /// The first address that is free by all indexes.
  private func firstFree(
    from start: IPAddress?, through last: IPAddress, besides others: OtherNetworks
  ) throws(SystemError) -> IPAddress? {
    var start = start
    while let first = start, first <= last {
      let number = HeldBlock.Number(of: first)
      guard let end = number.last else { return nil }
      var block = try index.block(number)
      for other in others.indexes { block.formUnion(try other.block(number)) }
      if let free = block.firstFree(from: first, through: min(end, last)) { return free }
      start = end.advanced(by: 1)
    }
    return nil
  }
}
