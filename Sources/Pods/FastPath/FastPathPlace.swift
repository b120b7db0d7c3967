package import Addresses

/// An interface of a pod that may use the fast path, with its addresses.
package struct FastPathPlace: Sendable, Equatable {
  /// Container ID and interface name, for logs.
  package let owner: String
  /// The value of each of its addresses in the map `pods`.
  package let pod: FastPathPod
  /// The addresses that the plugin gave it.
  package let addresses: [IPAddress]
  /// Time that the plugin chain of its ADD may still run. Plugins behind ours, such as `bandwidth`, may need the hooks
  /// of its link.
  package let wait: Duration

  /// Creates the description of an interface.
  ///
  /// - Parameter wait: zero if the chain has ended.
  package init(owner: String, pod: FastPathPod, addresses: [IPAddress], wait: Duration = .zero) {
    self.owner = owner
    self.pod = pod
    self.addresses = addresses
    self.wait = wait
  }
}
