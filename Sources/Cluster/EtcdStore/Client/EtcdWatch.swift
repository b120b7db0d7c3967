internal import Synchronization

/// One watch at one endpoint, of which others can wait for the beginning.
final class EtcdWatch: Sendable {
  private let client: EtcdClient
  private let endpoint: String
  private let start: Int64
  private let hasBegun = Mutex(false)
  private let confirmed = Mutex(false)
  private let (beginnings, beginning) = AsyncStream<Void>.makeStream()

  /// - Parameter start: the first revision that is of interest.
  init(client: EtcdClient, endpoint: String, start: Int64) {
    self.client = client
    self.endpoint = endpoint
    self.start = start
  }

  /// Hands on every answer; returns only by an error.
  func run(onAnswer: @Sendable (EtcdClient.WatchAnswer) throws -> Void) async throws {
    try await client.watch(from: start, at: endpoint) { answer in
      try onAnswer(answer)
      if answer.isBeginning {
        hasBegun.withLock { $0 = true }
        beginning.finish()
      }
    }
  }

  /// Waits for the first answer, as long as for that of a call.
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

  /// Nothing was missed so far.
  func confirm() { confirmed.withLock { $0 = true } }
  var isConfirmed: Bool { confirmed.withLock { $0 } }
}
