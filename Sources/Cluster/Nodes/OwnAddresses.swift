package import Addresses
internal import Linux
package import Synchronization

/// Finds the addresses by which other nodes reach this one, given those in use: for each family the first wish that a
/// link holds, unless the command line selects another.
package typealias OwnAddresses =
  @Sendable (_ wishes: [IPAddress], _ families: [IPFamily], _ networks: [IPPrefix], _ present: [IPAddress])
  async throws -> [IPAddress]

/// Last known addresses of this node, and the time of the next search. Pods that come and go cause many notifications,
/// so searches are rate-limited.
package struct AddressSearches {
  /// Addresses by which other nodes reach this one.
  package var addresses: [IPAddress] = []
  /// Earliest time of the next search.
  package var nextSearch = Duration.zero
  /// Due time of a postponed search, by the monotonic clock.
  package private(set) var postponed: Duration?

  /// Minimum time between two searches.
  private static let rest = Duration.milliseconds(50)

  package init() {}

  /// Forgets the postponed search, because no caller waits for it.
  package mutating func forgetPostponed() { postponed = nil }

  /// Returns whether to search now.
  package mutating func begin(_ mayHaveMoved: borrowing Atomic<Bool>) -> Bool {
    let now = MonotonicTime.now
    guard addresses.isEmpty || now >= nextSearch else {
      postponed = mayHaveMoved.load(ordering: .relaxed) ? nextSearch : nil
      return false
    }
    guard mayHaveMoved.exchange(false, ordering: .relaxed) || addresses.isEmpty else { return false }
    nextSearch = now + AddressSearches.rest
    return true
  }

  /// Takes over the addresses found and returns whether they changed. A family whose address is absent for the moment
  /// keeps the one that others know.
  package mutating func take(_ found: [IPAddress]) -> Bool {
    let kept = addresses.filter { address in !found.contains { $0.family == address.family } }
    let present = (found + kept).sorted()
    defer { addresses = present }
    return present != addresses
  }
}
