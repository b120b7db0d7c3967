package import Addresses

/// A pod that may use the fast path, with its addresses.
package struct FastPathPlace: Sendable, Equatable {
  /// The container and interface, for people.
  package let owner: String
  package let pod: FastPathPod
  package let addresses: [IPAddress]
  /// How long its ADD may still be under way: the runtime's other plugins, such as one that limits it, come behind ours and
  /// want the same place at its link.
  package let wait: Duration

  package init(owner: String, pod: FastPathPod, addresses: [IPAddress], wait: Duration = .zero) {
    self.owner = owner
    self.pod = pod
    self.addresses = addresses
    self.wait = wait
  }
}
