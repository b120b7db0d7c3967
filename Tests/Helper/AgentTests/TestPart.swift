import Parts
import Synchronization

@testable import Agent

/// The report of a `TestPart`.
struct TestReport: PartReport, Equatable {
  var actions: [Change] = []
  var repairs: [Change] = []
  var findings: [Finding] = []
  /// Number of passes that the part has completed.
  var count = 0
}

/// A part whose passes run a closure of the test.
struct TestPart: NodePart {
  var name = "test"
  var stage = Stage.routes
  var triggers: Set<Trigger> = [.nodes, .links]
  var pacing = Pacing(isPeriodic: false)
  var startsAtOnce = false
  var body: @Sendable (NodeView, TestReport?) throws -> TestReport = { _, previous in
    TestReport(count: (previous?.count ?? 0) + 1)
  }

  func reconcile(_ view: NodeView, since previous: TestReport?) throws -> TestReport { try body(view, previous) }
}

extension Finding {
  /// A finding that keeps pods from being served.
  static func obstacle(_ words: String) -> Finding {
    Finding("CW-TST-01", .waiting, words, remedy: "", keepsPodsFromBeingServed: true)
  }
}
