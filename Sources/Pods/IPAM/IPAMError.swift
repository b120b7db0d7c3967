package import Addresses
package import Linux

/// An error of IPAM; each text begins with that of the reference plugin `host-local`.
package enum IPAMError: Error, Sendable, Equatable, CustomStringConvertible {
  /// A range, a range set or their combination is invalid, as the text says.
  case invalidRanges(String)
  /// All addresses of the set are held.
  case exhausted(rangeSet: Int, ranges: RangeSet)
  /// The owner holds an address of the set already: a second ADD without a DEL in between.
  case duplicate(rangeSet: Int, held: IPAddress, by: LeaseOwner)
  /// A requested address is the gateway's.
  case requestedGateway(rangeSet: Int, IPAddress)
  /// A requested address is held by another owner.
  case requestedHeld(rangeSet: Int, IPAddress, ranges: RangeSet)
  /// Requested addresses that are in no set, or are the second one of a set.
  case requestedOutside([IPAddress])
  /// Another process held the lock for the whole time.
  case locked(path: String, waited: Duration)
  /// A system call failed.
  case system(SystemError)

  /// The text of the error, with what to do if that is not obvious.
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
      "failed to allocate all requested IPs: \(addresses.map { $0.description }.joined(separator: " "));"
        + " request at most one of each range set"
    case .locked(let path, let waited):
      "\(path) has been locked by another process for \(waited.components.seconds) s; try again"
    case .system(let error): error.description
    }
  }

  private func failed(_ rangeSet: Int, _ reason: String) -> String {
    "failed to allocate for range \(rangeSet): \(reason)"
  }
}
