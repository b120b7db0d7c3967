package import Addresses
package import Linux

/// Why addresses cannot be described, given or taken back; the words of the reference `host-local` come first.
package enum IPAMError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A range, a set or the sets together make no sense; the text names what.
  case invalidRanges(String)
  /// Every address of the set is held.
  case exhausted(rangeSet: Int, ranges: RangeSet)
  /// The owner holds an address of the set already; a second ADD without a DEL between.
  case duplicate(rangeSet: Int, held: IPAddress, by: LeaseOwner)
  /// A requested address belongs to the gateway.
  case requestedGateway(rangeSet: Int, IPAddress)
  /// Somebody else holds a requested address.
  case requestedHeld(rangeSet: Int, IPAddress, ranges: RangeSet)
  /// Requested addresses that no set has room for: of none of its ranges, or a second one of a set.
  case requestedOutside([IPAddress])
  /// Somebody else holds the lock for all that time.
  case locked(path: String, waited: Duration)
  case system(SystemError)

  package var description: String {
    switch self {
    case .invalidRanges(let text): text
    case .exhausted(let index, let ranges):
      failed(index, "no IP addresses available in range set: \(ranges); delete pods, or give the set a larger range")
    case .duplicate(let index, let address, let owner):
      failed(
        index,
        "\(address) has been allocated to \(owner.containerID), duplicate allocation is not allowed;"
          + " run DEL for its interface \(owner.interfaceName) first")
    case .requestedGateway(let index, let address):
      failed(index, "requested ip \(address) is subnet's gateway; request another")
    case .requestedHeld(let index, let address, let ranges):
      failed(index, "requested IP address \(address) is not available in range set \(ranges); request another")
    case .requestedOutside(let addresses):
      "failed to allocate all requested IPs: \(addresses.map(\.description).joined(separator: " "));"
        + " request at most one of each range set"
    case .locked(let path, let waited):
      "\(path) has been locked by another process for \(waited.components.seconds) s; try again"
    case .system(let error): error.description
    }
  }

  private func failed(_ rangeSet: Int, _ why: String) -> String { "failed to allocate for range \(rangeSet): \(why)" }
}
