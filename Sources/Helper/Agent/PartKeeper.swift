internal import Linux
internal import Logging
internal import Nodes
internal import Parts
internal import ServiceLifecycle

/// Makes the passes of one part: whenever one is due by the part's pacing, and not before the parts of earlier stages
/// have ended theirs.
struct PartKeeper<Part: NodePart>: Service {
  let part: Part
  let trigger: PassTrigger
  let board: TriggerBoard
  let state: AgentState
  let watchdog: Watchdog
  let log: PassLog

  func run() async throws {
    var passes = Passes(keeper: self)
    defer { passes.reminder?.cancel() }
    for await _ in trigger.wakeUps.cancelOnGracefulShutdown() { try await passes.next() }
  }

  /// One pass after the other, each built on the one before.
  private struct Passes {
    let keeper: PartKeeper
    var schedule: PassSchedule
    /// The last report of a pass that did not fail as a whole.
    var previous: Part.Report?
    var knownFindings: [Finding] = []
    var failure: String?
    var reminder: Task<Void, any Error>?

    init(keeper: PartKeeper) {
      self.keeper = keeper
      schedule = PassSchedule(keeper.part.pacing)
    }

    mutating func next() async throws {
      schedule.add(keeper.trigger.take())
      guard keeper.state.isTurn(of: keeper.part), let wait = schedule.wait(at: MonotonicTime.now) else { return }
      if wait == .zero {
        let burst = schedule.burst(at: MonotonicTime.now)
        if burst > .zero { try await Task.sleep(for: burst) }
        schedule.add(keeper.trigger.take())
        await pass()
      }
      remind()
    }

    private mutating func pass() async {
      let (part, previous) = (keeper.part, previous)
      let triggers = schedule.begin(at: MonotonicTime.now)
      let view = keeper.state.view(for: part, triggers)
      let start = MonotonicTime.now
      keeper.watchdog.passBegins(part, at: start)
      let result: Result<Part.Report, any Error>
      do {
        result = .success(try await onThread { try part.reconcile(view, since: previous) })
      } catch {
        result = .failure(error)
      }
      keeper.watchdog.passEnded(part)
      let end = MonotonicTime.now
      switch result {
      case .success(let report):
        schedule.end(
          Pacing.Pass(duration: end - start, hasChanges: !report.actions.isEmpty), hasFailed: report.hasFailed,
          nextPass: report.nextPass, at: end)
        keeper.state.note(report, of: part, view, took: end - start)
        keeper.log.write(report.actions)
        let findings = part.findings(report)
        keeper.log.write(findings, since: knownFindings)
        (self.previous, knownFindings, failure) = (report, findings, nil)
        keeper.board.passEnded(part)
      case .failure(let error):
        schedule.end(
          Pacing.Pass(duration: end - start, hasChanges: false), hasFailed: true,
          waitsForTrigger: !part.isRetried(after: error), at: end)
        keeper.state.note(failure: "\(error)", of: part, took: end - start)
        if failure != "\(error)" { keeper.log.logger.error("\(error)") }
        failure = "\(error)"
      }
    }

    private mutating func remind() {
      reminder?.cancel()
      reminder = schedule.wait(at: MonotonicTime.now).map { pause in
        Task { [trigger = keeper.trigger] in
          try await Task.sleep(for: pause)
          trigger.wake()
        }
      }
    }
  }
}
