internal import AsyncHTTPClient
internal import Glibc
internal import Linux
internal import NIOCore
internal import NIOHTTP1

/// HTTP connections to a store, made with the certificates as they were when this was made.
package final class HTTPTransport: Sendable {
  private let http: HTTPClient
  /// The states of the certificate files that were read.
  private let files: [FileIdentity?]
  private let paths: [String]

  /// How connections are made.
  package struct Setup: Sendable {
    var tls = TLSMaterial()
    /// How long an answer may be silent; `nil` for ever, as for a watch that is looked after by other means.
    var longestSilence: Duration?
    /// Where a host is reached under another name than its own, which its certificate tells.
    package var hosts: [String: String] = [:]

    package init(tls: TLSMaterial = TLSMaterial(), longestSilence: Duration? = nil) {
      self.tls = tls
      self.longestSilence = longestSilence
    }
  }

  package init(_ setup: Setup) throws(TLSMaterialError) {
    paths = setup.tls.files
    files = HTTPTransport.identities(paths)
    var configuration = HTTPClient.Configuration()
    configuration.httpVersion = .http1Only
    configuration.timeout.connect = .seconds(3)
    configuration.timeout.read = setup.longestSilence.map { .nanoseconds($0.nanoseconds) }
    // Whoever calls knows better when to try again, and where.
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.redirectConfiguration = .disallow
    configuration.http1_1ConnectionDebugInitializer = HTTPTransport.keepAlive
    configuration.tlsConfiguration = try setup.tls.configuration()
    configuration.dnsOverride = setup.hosts
    http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  deinit { close() }

  /// Ends all connections and whatever goes on through them.
  package func close() { http.shutdown { _ in } }

  /// Whether the certificates have changed on disk since: they are renewed while an agent lives.
  package var isOutdated: Bool { HTTPTransport.identities(paths) != files }

  private static func identities(_ paths: [String]) -> [FileIdentity?] {
    paths.map { try? Files.identity($0) }
  }

  /// A watch may be silent for minutes: the kernel asks whether the other end is still there, and gives up after 20
  /// seconds.
  @Sendable private static func keepAlive(_ channel: any Channel) -> EventLoopFuture<Void> {
    let options: [(NIOBSDSocket.OptionLevel, NIOBSDSocket.Option, Int)] = [
      (.socket, .so_keepalive, 1), (.tcp, .init(rawValue: TCP_KEEPIDLE), 8), (.tcp, .init(rawValue: TCP_KEEPINTVL), 4),
      (.tcp, .init(rawValue: TCP_KEEPCNT), 3), (.tcp, .init(rawValue: TCP_USER_TIMEOUT), 20_000),
    ]
    let futures = options.map { level, name, value in
      channel.setOption(ChannelOptions.Types.SocketOption(level: level, name: name), value: value)
    }
    return EventLoopFuture.andAllSucceed(futures, on: channel.eventLoop)
  }

  /// What is asked.
  package struct Request: Sendable {
    var method: String
    var url: String
    package var headers: [(name: String, value: String)]
    var body: String?

    package init(
      method: String = "GET", url: String, headers: [(name: String, value: String)] = [], body: String? = nil
    ) {
      self.method = method
      self.url = url
      self.headers = headers
      self.body = body
    }

    fileprivate var request: HTTPClientRequest {
      var request = HTTPClientRequest(url: url)
      request.method = HTTPMethod(rawValue: method)
      for (name, value) in headers { request.headers.add(name: name, value: value) }
      if let body { request.body = .bytes(Array(body.utf8)) }
      return request
    }
  }

  /// A whole answer.
  package struct Answer: Sendable {
    package let status: UInt
    package let body: [UInt8]
  }

  /// What a node's whole cluster may take in one answer or one line.
  package static let limitBytes = 256 << 20

  /// Sends a request and reads the answer to its end; `limit` bounds all of it.
  package func answer(to request: Request, limit: Duration) async throws -> Answer {
    try await bounded(by: limit) {
      let response = try await self.http.execute(request.request, timeout: .nanoseconds(limit.nanoseconds))
      let bytes = try await response.body.collect(upTo: HTTPTransport.limitBytes)
      return Answer(status: response.status.code, body: Array(buffer: bytes))
    }
  }

  /// Runs `body` for so long at most.
  package func bounded<Value: Sendable>(
    by limit: Duration, _ body: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    try await withThrowingTaskGroup { group in
      group.addTask(operation: body)
      group.addTask {
        try await Task.sleep(for: limit)
        throw TransportProblem.slow(limit)
      }
      defer { group.cancelAll() }
      guard let value = try await group.next() else { throw CancellationError() }
      return value
    }
  }

  /// Sends a request and hands on the parts of its answer as they come, with the answer's status.
  ///
  /// - Parameters:
  ///   - limit: bounds the time to the answer's head.
  ///   - onHead: told the status as soon as it is known.
  package func stream(
    _ request: Request, limit: Duration, onHead: (_ status: UInt) -> Void = { _ in },
    onPart: (_ status: UInt, _ bytes: [UInt8]) throws -> Void
  ) async throws {
    let response = try await http.execute(request.request, timeout: .nanoseconds(limit.nanoseconds))
    onHead(response.status.code)
    for try await part in response.body { try onPart(response.status.code, Array(buffer: part)) }
  }
}

extension Duration {
  fileprivate var nanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
