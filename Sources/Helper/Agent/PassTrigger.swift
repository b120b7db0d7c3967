internal import Parts
internal import Synchronization

/// Triggers of one part's passes: any number of them since the last pass lead to one more.
package final class PassTrigger: Sendable {
  /// One element for any number of calls since the last one was taken.
  let wakeUps: AsyncStream<Void>
  private let wakeUp: AsyncStream<Void>.Continuation
  private let fired = Mutex<Set<Trigger>>([])

  init() {
    (wakeUps, wakeUp) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    wakeUp.yield()
  }

  /// There is a reason for a pass.
  func fire(_ trigger: Trigger) {
    fired.withLock { _ = $0.insert(trigger) }
    wakeUp.yield()
  }

  /// Lets the keeper check whether a pass is due.
  func wake() { wakeUp.yield() }

  /// Returns the triggers since the last call.
  func take() -> Set<Trigger> {
    fired.withLock { fired in
      defer { fired = [] }
      return fired
    }
  }
}

/// Hands each trigger to the parts that have it.
final class TriggerBoard: Sendable {
  private let entries: [(part: any NodePart, trigger: PassTrigger)]
  private let listeners = Mutex<[Trigger: [@Sendable () -> Void]]>([:])

  init(_ parts: [any NodePart]) {
    entries = parts.map { ($0, PassTrigger()) }
  }

  /// The trigger of a part.
  func trigger(of part: some NodePart) -> PassTrigger? { entries.first { $0.part.name == part.name }?.trigger }

  /// Calls `listener` each time the trigger is fired; it must be quick.
  func listen(_ trigger: Trigger, _ listener: @escaping @Sendable () -> Void) {
    listeners.withLock { $0[trigger, default: []].append(listener) }
  }

  func fire(_ trigger: Trigger) {
    for entry in entries where entry.part.triggers.contains(trigger) { entry.trigger.fire(trigger) }
    for listener in listeners.withLock({ $0[trigger] ?? [] }) { listener() }
  }

  /// The part has ended a pass: parts of later stages may be waiting for it.
  func passEnded(_ part: some NodePart) {
    fire(.end(of: part.name))
    for entry in entries where entry.part.stage > part.stage {
      if entry.part.triggers.contains(.earlierPart) { entry.trigger.fire(.earlierPart) } else { entry.trigger.wake() }
    }
  }
}
