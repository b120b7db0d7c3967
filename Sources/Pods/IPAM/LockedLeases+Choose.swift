internal import Addresses
internal import Linux

/// A range set that must yield an address for somebody.
struct Demand: Sendable {
  let owner: LeaseOwner
  let set: RangeSet
  /// The set's place in the configuration, which numbers the `last_reserved_ip` files.
  let index: Int
  /// An address of the set that it must be.
  let request: IPAddress?

  /// The address as an answer.
  fileprivate func allocation(_ address: IPAddress, _ range: AddressRange) -> Allocation? {
    IPPrefix(address, length: range.subnet.length).map {
      Allocation(address: $0, gateway: range.gateway, rangeSet: index)
    }
  }
}

extension LockedLeases {
  /// Leases the address that was asked for, or the set's next free one.
  mutating func lease(_ demand: Demand, _ neighbours: Neighbours) throws(IPAMError) -> Allocation {
    guard let request = demand.request, let range = demand.set.range(of: request) else {
      return try leaseNext(demand, neighbours)
    }
    guard request != range.gateway else { throw .requestedGateway(rangeSet: demand.index, request) }
    do throws(SystemError) {
      if let allocation = try take(request, range, demand, neighbours) { return allocation }
    } catch {
      throw .system(error)
    }
    throw .requestedHeld(rangeSet: demand.index, request, ranges: demand.set)
  }

  private mutating func leaseNext(_ demand: Demand, _ neighbours: Neighbours) throws(IPAMError) -> Allocation {
    do throws(SystemError) {
      if let allocation = try next(demand, neighbours) { return allocation }
      // Nobody is turned away on the word of the index alone.
      if !isScanned {
        try rebuild()
        if let allocation = try next(demand, neighbours) { return allocation }
      }
    } catch {
      throw .system(error)
    }
    throw .exhausted(rangeSet: demand.index, ranges: demand.set)
  }

  private mutating func next(
    _ demand: Demand, _ neighbours: Neighbours
  ) throws(SystemError) -> Allocation? {
    for stretch in demand.set.roundRobin(after: files.lastReserved(demand.index)) {
      var start: IPAddress? = stretch.first
      while let candidate = try firstFree(from: start, through: stretch.last, neighbours) {
        if candidate != stretch.range.gateway,
          let allocation = try take(candidate, stretch.range, demand, neighbours)
        {
          return allocation
        }
        start = candidate.advanced(by: 1)
      }
    }
    return nil
  }

  /// Leases the address where nobody holds it.
  private mutating func take(
    _ address: IPAddress, _ range: AddressRange, _ demand: Demand, _ neighbours: Neighbours
  ) throws(SystemError) -> Allocation? {
    guard !neighbours.hold(address), try take(address, demand.index, for: demand.owner) else { return nil }
    return demand.allocation(address, range)
  }

  /// The first address that no index calls held.
  private func firstFree(
    from start: IPAddress?, through last: IPAddress, _ neighbours: Neighbours
  ) throws(SystemError) -> IPAddress? {
    var start = start
    while let first = start, first <= last {
      let number = HeldBlock.Number(of: first)
      guard let end = number.last else { return nil }
      var block = try index.block(number)
      for other in neighbours.indexes { block.formUnion(try other.block(number)) }
      if let free = block.firstFree(from: first, through: min(end, last)) { return free }
      start = end.advanced(by: 1)
    }
    return nil
  }
}
