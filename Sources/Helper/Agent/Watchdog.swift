internal import Linux
package import Parts
internal import Synchronization

/// Finds parts whose pass does not end, from the times at which passes began.
///
/// It uses no thread of the parts, so that it answers while all of them are blocked.
package final class Watchdog: Sendable {
  /// A pass that has not ended in time.
  package struct Overdue: Sendable, Equatable, CustomStringConvertible {
    /// The part's name.
    package let part: String
    /// Time since the pass began.
    package let duration: Duration

    package var description: String { "\(part): the pass has not ended for \(duration.components.seconds) s" }
  }

  private struct Pass {
    let start: Duration
    let limit: Duration
  }

  private let passes = Mutex<[String: Pass]>([:])

  package init() {}

  /// Records that a pass of the part begins.
  package func passBegins(_ part: some NodePart, at now: Duration = MonotonicTime.now) {
    let pass = Pass(start: now, limit: part.pacing.interval * 3)
    passes.withLock { $0[part.name] = pass }
  }

  /// Records that the pass of the part has ended.
  package func passEnded(_ part: some NodePart) {
    passes.withLock { _ = $0.removeValue(forKey: part.name) }
  }

  /// Returns the parts whose pass has not ended for three of their intervals, by name.
  package func overdue(at now: Duration = MonotonicTime.now) -> [Overdue] {
    passes.withLock { passes in
      passes.filter { now - $0.value.start >= $0.value.limit }
        .map { Overdue(part: $0.key, duration: now - $0.value.start) }
        .sorted { $0.part < $1.part }
    }
  }
}
