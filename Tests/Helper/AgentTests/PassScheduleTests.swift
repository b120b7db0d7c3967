import Parts
import Testing

@testable import Agent

/// When passes are due, by the pacing of a part.
@Suite struct PassScheduleTests {
  private let now = Duration.seconds(1000)
  private let pass = Pacing.Pass(duration: .milliseconds(10), hasChanges: false)
  private let kernel = Trigger("kernel")

  /// The pacing of rules.
  private let rules = Pacing(nodes: .init { _ in .milliseconds(500) }, isPeriodic: false, holdsBack: true)
  /// The pacing of routes.
  private let routes = Pacing(
    others: .init(burst: .milliseconds(3)) { pass in
      pass.hasChanges ? .zero : min(pass.duration, .milliseconds(40))
    }, isPeriodic: false)

  /// A schedule after its first pass.
  private func schedule(_ pacing: Pacing) -> PassSchedule {
    var schedule = PassSchedule(pacing)
    #expect(schedule.wait(at: now) == .zero)
    #expect(schedule.begin(at: now) == [.time])
    schedule.end(Pacing.Pass(duration: .zero, hasChanges: false), at: now)
    return schedule
  }

  @Test func kernelTriggerMakesAPassDueAtOnce() {
    var schedule = schedule(rules)
    #expect(schedule.wait(at: now) == nil)
    schedule.add([kernel])
    #expect(schedule.wait(at: now) == .zero)
  }

  @Test func passesForChangedNodesAreSpaced() {
    var schedule = schedule(rules)
    schedule.add([.nodes])
    #expect(schedule.wait(at: now + .milliseconds(100)) == .milliseconds(400))
    #expect(schedule.wait(at: now + .seconds(1)) == .zero)
    // A kernel change does not wait for that pause, and the next pass includes it.
    schedule.add([kernel])
    schedule.add([.nodes])
    #expect(schedule.wait(at: now + .milliseconds(100)) == .zero)
    #expect(schedule.begin(at: now + .milliseconds(100)) == [kernel, .nodes])
  }

  @Test func aFailureMayWaitForATrigger() {
    var schedule = schedule(routes)
    schedule.add([kernel])
    _ = schedule.begin(at: now)
    schedule.end(pass, hasFailed: true, waitsForTrigger: true, at: now)
    #expect(schedule.wait(at: now) == routes.interval)
    schedule.add([.nodes])
    #expect(schedule.wait(at: now) == .zero)
  }

  /// Pods whose fast path begins one after the other lead to no pass for each of them.
  @Test func aNextPassWaitsForTheRestOfTheLast() {
    var schedule = schedule(Pacing(others: .init { _ in .milliseconds(800) }))
    schedule.add([kernel])
    let later = now + .seconds(5)
    _ = schedule.begin(at: later)
    schedule.end(pass, nextPass: .milliseconds(20), at: later)
    #expect(schedule.wait(at: later) == .milliseconds(800))
    #expect(schedule.begin(at: later + .milliseconds(20)).isEmpty)
    #expect(schedule.begin(at: later + .milliseconds(800)) == [.time])
  }

  @Test func pausesDoubleAfterEachFailure() {
    var schedule = schedule(rules)
    var pauses: [Duration?] = []
    for _ in 0..<9 {
      _ = schedule.begin(at: now)
      schedule.end(pass, hasFailed: true, at: now)
      schedule.add([kernel])
      pauses.append(schedule.wait(at: now))
    }
    #expect(pauses == [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000].map { .milliseconds($0) })
    _ = schedule.begin(at: now)
    schedule.end(pass, at: now)
    #expect(schedule.wait(at: now) == nil)
    schedule.end(pass, hasFailed: true, at: now)
    #expect(schedule.wait(at: now) == .milliseconds(500))
  }

  @Test func newTriggerEndsThePauseOfAPartWithoutHoldBack() {
    var schedule = schedule(routes)
    schedule.add([.nodes])
    #expect(schedule.begin(at: now) == [.nodes])
    schedule.end(pass, hasFailed: true, at: now)
    #expect(schedule.wait(at: now) == .milliseconds(500))
    schedule.add([kernel])
    #expect(schedule.wait(at: now) == .zero)
    // The trigger of the failed pass is still pending.
    #expect(schedule.begin(at: now) == [.nodes, kernel, .time])
  }

  @Test func changedNodesDoNotWaitForThePauseAfterAKernelPass() {
    var schedule = schedule(routes)
    schedule.add([kernel])
    #expect(schedule.burst(at: now) == .milliseconds(3))
    _ = schedule.begin(at: now)
    schedule.end(pass, at: now)
    schedule.add([kernel, .nodes])
    #expect(schedule.wait(at: now) == .zero)
    #expect(schedule.burst(at: now) == .zero)
    #expect(schedule.begin(at: now) == [.nodes])
    schedule.end(pass, at: now)
    #expect(schedule.wait(at: now) == .milliseconds(10))
    #expect(schedule.begin(at: now + .milliseconds(10)) == [kernel])
  }

  @Test func periodicPassesNeedNoTrigger() {
    var schedule = schedule(Pacing(interval: .seconds(30)))
    #expect(schedule.wait(at: now) == .seconds(30))
    #expect(schedule.begin(at: now + .seconds(30)) == [.time])
    schedule.end(pass, nextPass: .seconds(2), at: now)
    #expect(schedule.wait(at: now) == .seconds(2))
  }

  @Test func jitterMakesPeriodicPassesEarlier() throws {
    for _ in 0..<20 {
      let wait = try #require(schedule(Pacing(interval: .seconds(100), hasJitter: true)).wait(at: now))
      #expect(wait >= .seconds(80) && wait <= .seconds(100))
    }
  }
}
