package import Addresses

/// A pod that may use the fast path, with its addresses.
package struct FastPathPlace: Sendable, Equatable {
  /// The container and interface, for people.
  package let owner: String
  package let pod: FastPathPod
  package let addresses: [IPAddress]

  package init(owner: String, pod: FastPathPod, addresses: [IPAddress]) {
    self.owner = owner
    self.pod = pod
    self.addresses = addresses
  }
}
