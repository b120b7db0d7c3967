internal import Synchronization

/// One watch at one endpoint. Other tasks can wait for its beginning.
final class EtcdWatch: Sendable {
  private let client: EtcdClient
  private let endpoint: String
  private let start: Int64
  private let hasBegun = Mutex(false)
  private let confirmed = Mutex(false)
  private let (beginnings, beginning) = AsyncStream<Void>.makeStream()

  /// - Parameter start: first revision that the watch reports.
  init(client: EtcdClient, endpoint: String, start: Int64) {
    self.client = client
    self.endpoint = endpoint
    self.start = start
  }

  /// Reports every message; ends only with an error.
  ///
  /// - Throws: `EtcdError`.
  func run(onAnswer: @Sendable (EtcdClient.WatchAnswer) throws -> Void) async throws {
    try await client.watch(from: start, at: endpoint) { answer in
      try onAnswer(answer)
      if answer.isBeginning {
        hasBegun.withLock { $0 = true }
        beginning.finish()
      }
    }
  }

  /// Waits for the first message, no longer than for the answer of a call.
  ///
  /// - Throws: `EtcdError.watchEnded` if the watch does not begin in time.
  func waitForBeginning() async throws {
    let timer = Task { [beginning] in
      try await Task.sleep(for: EtcdClient.limit)
      beginning.finish()
    }
    defer { timer.cancel() }
    for await _ in beginnings {}
    try Task.checkCancellation()
    guard hasBegun.withLock({ $0 }) else { throw EtcdError.watchEnded(endpoint: endpoint, reason: "it does not begin") }
  }

  /// Notes that the watch has missed nothing so far.
  func confirm() { confirmed.withLock { $0 = true } }
  var isConfirmed: Bool { confirmed.withLock { $0 } }
}
