package import Addresses
internal import Linux
package import Synchronization

/// Finds the addresses by which other nodes reach this one, given those that are in use: of each family the first of the
/// wishes that a link holds, unless the command line says otherwise.
package typealias OwnAddresses =
  @Sendable (_ wishes: [IPAddress], _ families: [IPFamily], _ networks: [IPPrefix], _ present: [IPAddress])
  async throws -> [IPAddress]

/// This node's addresses as they were last found, and when they may be looked for again: pods that come and go bring
/// notifications without end.
package struct AddressLooks {
  package var addresses: [IPAddress] = []
  package var nextLook = Duration.zero
  /// When a look that was wanted too early is due, by the monotonic clock.
  package private(set) var postponed: Duration?

  /// The least time between two looks.
  private static let rest = Duration.milliseconds(50)

  package init() {}

  /// Where nobody asks for a look there is none to postpone.
  package mutating func forgetPostponed() { postponed = nil }

  /// Whether to look for them now.
  package mutating func begin(_ mayHaveMoved: borrowing Atomic<Bool>) -> Bool {
    let now = MonotonicTime.now
    guard addresses.isEmpty || now >= nextLook else {
      postponed = mayHaveMoved.load(ordering: .relaxed) ? nextLook : nil
      return false
    }
    guard mayHaveMoved.exchange(false, ordering: .relaxed) || addresses.isEmpty else { return false }
    nextLook = now + AddressLooks.rest
    return true
  }

  /// Takes over what was found, and says whether it is something else. A family that is gone for the moment keeps the
  /// address that others know.
  package mutating func take(_ found: [IPAddress]) -> Bool {
    let kept = addresses.filter { address in !found.contains { $0.family == address.family } }
    let present = (found + kept).sorted()
    defer { addresses = present }
    return present != addresses
  }
}
