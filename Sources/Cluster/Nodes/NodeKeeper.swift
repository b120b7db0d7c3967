/// Keeps this node's record in a store up to date: its lease and its addresses.
package protocol NodeKeeper: Sendable {
  /// Runs until the task is cancelled.
  func run() async

  /// Reports that this node's addresses may have changed.
  func look()
}
