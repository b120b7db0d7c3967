/// Keeps what a store holds of this node as it must be: its lease, its addresses.
package protocol NodeKeeper: Sendable {
  /// Until the task is cancelled.
  func run() async

  /// This node's addresses may have changed.
  func look()
}
