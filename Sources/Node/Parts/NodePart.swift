package import JSON
package import Linux

/// Result of a pass: its findings and its actions.
package protocol PartReport: Sendable {
  /// Changes that the pass made, in order.
  var actions: [Change] { get }
  /// Changes that restored what another program had changed; `status` shows the last of them.
  var repairs: [Change] { get }
  /// Number of things that were restored, if not all of them are worth showing.
  var repairCount: Int { get }
  /// Findings of the pass.
  var findings: [Finding] { get }
  /// Whether a step failed, so that the pass is repeated after a pause.
  var hasFailed: Bool { get }
  /// Pause until the next pass must be made without another reason; `nil` for the periodic one.
  var nextPass: Duration? { get }
}

extension PartReport {
  package var repairs: [Change] { [] }
  package var repairCount: Int { repairs.count }
  package var hasFailed: Bool { false }
  package var nextPass: Duration? { nil }
}

/// A part of the agent: state of this node that pods need and that the agent maintains.
///
/// A pass is synchronous and blocks its thread, in the process's network namespace.
package protocol NodePart: Sendable {
  /// Result of one pass of this part.
  associatedtype Report: PartReport

  /// Name, unique among the parts; also in `/healthz`.
  var name: String { get }
  /// Stage in which the part has its turn.
  var stage: Stage { get }
  /// The reasons for a pass, beside the periodic one.
  var triggers: Set<Trigger> { get }
  /// Feeds that fire the part's own triggers.
  var feeds: [Feed] { get }
  /// Pauses between the part's passes.
  var pacing: Pacing { get }
  /// Whether the part needs neither the nodes nor the parts of earlier stages.
  var startsAtOnce: Bool { get }
  /// Whether only an agent has the part, and not the single pass of `sync`.
  var isAgentOnly: Bool { get }
  /// The key of `agent` in `status --json` for the number of repairs, if they are shown there.
  var repairsKey: String? { get }
  /// The capabilities that the agent keeps for it.
  var capabilities: Capabilities { get }

  /// Called once at the start of an agent, while the process has all its capabilities.
  func prepare() throws

  /// One pass. Throws if the pass failed as a whole; it is repeated then.
  ///
  /// - Parameter previous: the report of the last pass that ended without an error.
  func reconcile(_ view: NodeView, since previous: Report?) throws -> Report

  /// Returns whether a pass that threw this error is repeated after a pause, and not only for the next trigger.
  func isRetried(after error: any Error) -> Bool

  /// Returns the report that a pass would have, and changes nothing.
  ///
  /// - Parameter previous: the last report of a running agent.
  func inspect(_ view: NodeView, since previous: Report?) throws -> Report?

  /// Removes everything that the part has made, and returns what that was.
  func clean() throws -> [Change]

  /// Throws if a single pass has not done all that the options ask for.
  func verify(_ report: Report) throws

  /// Findings that hold now.
  ///
  /// - Parameter report: the last report; `nil` if no pass has ended yet.
  func findings(_ report: Report?) -> [Finding]

  /// Metrics of the part; `report` is `nil` if no pass has ended yet.
  func metrics(_ report: Report?, _ tally: PartTally) -> [Metric]

  /// The members of `status --json` that are this part's.
  func json(_ report: Report?, _ tally: PartTally) -> JSONObject

  /// Lines of the text of `status`.
  ///
  /// - Parameter status: all of `status --json`.
  func lines(_ status: JSONObject, _ paint: StatusPaint) -> [String]

  /// Lines of the output of `sync`.
  func lines(_ report: Report) -> [String]
}

extension NodePart {
  package var feeds: [Feed] { [] }
  package var startsAtOnce: Bool { false }
  package var isAgentOnly: Bool { false }
  package var repairsKey: String? { nil }
  package var capabilities: Capabilities { [] }

  package func prepare() throws {}
  package func isRetried(after error: any Error) -> Bool { true }
  package func inspect(_ view: NodeView, since previous: Report?) throws -> Report? { previous }
  package func clean() throws -> [Change] { [] }
  package func verify(_ report: Report) throws {}
  package func findings(_ report: Report?) -> [Finding] { report?.findings ?? [] }
  package func metrics(_ report: Report?, _ tally: PartTally) -> [Metric] { [] }
  package func json(_ report: Report?, _ tally: PartTally) -> JSONObject { [:] }
  package func lines(_ status: JSONObject, _ paint: StatusPaint) -> [String] { [] }
  package func lines(_ report: Report) -> [String] { [] }
}

/// A single pass has not done all that the options ask for; its findings say why.
package struct NotSettled: Error {
  package init() {}
}

/// Counts of a part's passes since the agent started.
package struct PartTally: Sendable {
  /// Things that were restored after another program had changed them.
  package var repairs = 0
  /// Passes that failed as a whole.
  package var failedPasses = 0
  /// Durations of the passes.
  package var durations = DurationHistogram()

  package init() {}
}
