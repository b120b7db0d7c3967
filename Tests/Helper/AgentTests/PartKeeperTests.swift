import Backends
import Addresses
import Linux
import Logging
import Nodes
import Parts
import Synchronization
import Testing

@testable import Agent

/// Passes of a running keeper.
@Suite(.timeLimit(.minutes(1)))
struct PartKeeperTests {
  /// Counts the passes of a part, and can block them.
  private final class Passes: Sendable {
    let triggers = Mutex<[Set<Trigger>]>([])
    let isBlocked = Mutex(false)

    var count: Int { triggers.withLock { $0.count } }

    func pass(_ view: NodeView) {
      triggers.withLock { $0.append(view.triggers) }
      while isBlocked.withLock({ $0 }) { MonotonicTime.sleep(.milliseconds(1)) }
    }
  }

  private let watchdog = Watchdog()
  private let log = PassLog(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })

  private func keeper(_ part: TestPart, _ board: TriggerBoard, _ state: AgentState) throws -> PartKeeper<TestPart> {
    PartKeeper(
      part: part, trigger: try #require(board.trigger(of: part)), board: board, state: state, watchdog: watchdog,
      log: log)
  }

  private func eventually(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<5000 {
      if condition() { return true }
      try await Task.sleep(for: .milliseconds(1))
    }
    return false
  }

  @Test func eachTriggerOfThePartStartsAPass() async throws {
    let passes = Passes()
    let part = TestPart(startsAtOnce: true) { view, previous in
      passes.pass(view)
      return TestReport(count: (previous?.count ?? 0) + 1)
    }
    let board = TriggerBoard([part])
    let state = AgentState([part], conditions: nil)
    let keeper = try keeper(part, board, state)
    let task = Task { try await keeper.run() }
    defer { task.cancel() }
    #expect(try await eventually { passes.count == 1 })
    board.fire(.links)
    #expect(try await eventually { passes.count == 2 })
    board.fire(Trigger("of another part"))
    board.fire(.nodes)
    #expect(try await eventually { passes.count == 3 })
    #expect(passes.triggers.withLock { $0 } == [[.time], [.links], [.nodes]])
    #expect(try await eventually { (state.now.records["test"]?.report as? TestReport)?.count == 3 })
  }

  @Test func laterStagesWaitForEarlierOnes() async throws {
    let passes = Passes()
    passes.isBlocked.withLock { $0 = true }
    let first = TestPart(name: "first", stage: .rules) { view, _ in
      passes.pass(view)
      return TestReport()
    }
    let second = TestPart(name: "second", stage: .routes)
    let board = TriggerBoard([first, second])
    let state = AgentState([first, second], conditions: nil)
    let keepers = [try keeper(second, board, state), try keeper(first, board, state)]
    let tasks = keepers.map { keeper in Task { try await keeper.run() } }
    defer { for task in tasks { task.cancel() } }
    let network = try #require(IPPrefix("10.244.0.0/16"))
    state.note(.success(NodeSnapshot(netConf: NetConf(networks: [network], backend: HostGateway()), nodes: [])))
    board.fire(.nodes)
    #expect(try await eventually { passes.count == 1 })
    try await Task.sleep(for: .milliseconds(50))
    #expect(state.now.records["second"] == nil)
    passes.isBlocked.withLock { $0 = false }
    #expect(try await eventually { state.now.records["second"]?.report != nil })
  }

  @Test func blockedPassIsOverdueAndFailedPassIsNot() async throws {
    let passes = Passes()
    let part = TestPart(pacing: Pacing(interval: .milliseconds(20), isPeriodic: true), startsAtOnce: true) { view, _ in
      passes.pass(view)
      throw ViewError.noNodes
    }
    let board = TriggerBoard([part])
    let state = AgentState([part], conditions: nil)
    let keeper = try keeper(part, board, state)
    let task = Task { try await keeper.run() }
    defer { task.cancel() }
    #expect(try await eventually { state.now.records["test"]?.failure == "the nodes are not known yet" })
    try await Task.sleep(for: .milliseconds(100))
    #expect(watchdog.overdue() == [])
    passes.isBlocked.withLock { $0 = true }
    board.fire(.links)
    #expect(try await eventually { watchdog.overdue().map(\.part) == ["test"] })
    passes.isBlocked.withLock { $0 = false }
    #expect(try await eventually { watchdog.overdue() == [] })
  }
}

/// The watchdog's table of passes that have not ended.
@Suite struct OverdueTests {
  @Test func passIsOverdueAfterThreeIntervals() {
    let watchdog = Watchdog()
    let (slow, quick) = (
      TestPart(name: "slow", pacing: Pacing(interval: .seconds(600))), TestPart(name: "quick")
    )
    let start = Duration.seconds(1000)
    #expect(watchdog.overdue(at: start) == [])
    watchdog.passBegins(slow, at: start)
    watchdog.passBegins(quick, at: start)
    #expect(watchdog.overdue(at: start + .seconds(89)) == [])
    let overdue = watchdog.overdue(at: start + .seconds(90))
    #expect(overdue.map(\.description) == ["quick: the pass has not ended for 90 s"])
    #expect(watchdog.overdue(at: start + .seconds(1800)).map(\.part) == ["quick", "slow"])
    watchdog.passEnded(quick)
    watchdog.passEnded(slow)
    #expect(watchdog.overdue(at: start + .seconds(9000)) == [])
  }
}
