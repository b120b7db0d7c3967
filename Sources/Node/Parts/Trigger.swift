/// A reason for a pass. A part may define more, and feed them itself.
package struct Trigger: Sendable, Hashable {
  /// Name of the trigger, unique among all of them.
  package let name: String

  package init(_ name: String) {
    self.name = name
  }

  /// The nodes have changed.
  package static let nodes = Trigger("nodes")
  /// Another program has changed a link, an address, a route or a next hop.
  package static let links = Trigger("links")
  /// The time of the periodic pass has come, or the last pass failed and is repeated.
  package static let time = Trigger("time")

  /// The state of the store, or of the lease that it gives, has changed.
  package static let store = Trigger("store")
  /// A part of an earlier stage has ended a pass.
  package static let earlierPart = Trigger("earlier part")

  /// The part of that name has ended a pass.
  package static func end(of part: String) -> Trigger { Trigger("end of \(part)") }
}

/// Watches the kernel, or something else, and fires a trigger for every part that has it.
package struct Feed: Sendable {
  /// Trigger that the feed fires.
  package let trigger: Trigger
  /// Whether the agent continues without the feed if it fails, and tries again after `retryInterval`.
  package let mayFail: Bool
  /// Blocks its thread. It calls `fire` once when it has begun to listen, then for each change and at least every 30
  /// seconds, and returns as soon as `fire` returns `false`.
  package let watch: @Sendable (_ fire: () -> Bool) throws -> Void

  /// The pause after a failure of a feed that may fail.
  package static let retryInterval = Duration.seconds(30)

  package init(
    _ trigger: Trigger, mayFail: Bool = false, watch: @escaping @Sendable (_ fire: () -> Bool) throws -> Void
  ) {
    self.trigger = trigger
    self.mayFail = mayFail
    self.watch = watch
  }
}
