/// Holds this node's lease in a store, and publishes this node's addresses there.
package protocol LeaseHolder: Sendable {
  /// Runs until the task is cancelled.
  func run() async

  /// Reports that links have changed, so this node's addresses may have changed too.
  func linksChanged()
}
