internal import AsyncHTTPClient
internal import Glibc
internal import Linux
internal import NIOCore
internal import NIOHTTP1

/// HTTP connections to a store. Certificates are read when the transport is made.
package final class HTTPTransport: Sendable {
  private let http: HTTPClient
  /// Identities of the certificate files when they were read.
  private let files: [FileIdentity?]
  private let paths: [String]

  /// Parameters of the connections.
  package struct Setup: Sendable {
    /// Certificates for the connections.
    var tls = TLSMaterial()
    /// Longest pause within an answer; `nil` for no limit.
    var longestSilence: Duration?
    /// Hosts to connect to, by the name that stands in the URL and in the certificate.
    package var hosts: [String: String] = [:]

    /// Makes a setup.
    package init(tls: TLSMaterial = TLSMaterial(), longestSilence: Duration? = nil) {
      self.tls = tls
      self.longestSilence = longestSilence
    }
  }

  /// Makes a transport; it connects with its first request.
  ///
  /// - Throws: `TLSMaterialError` if a certificate or key is unusable.
  package init(_ setup: Setup) throws(TLSMaterialError) {
    paths = setup.tls.files
    files = HTTPTransport.identities(paths)
    var configuration = HTTPClient.Configuration()
    configuration.httpVersion = .http1Only
    configuration.timeout.connect = .seconds(3)
    configuration.timeout.read = setup.longestSilence.map { .nanoseconds($0.nanoseconds) }
    // The caller decides when and where to try again.
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.redirectConfiguration = .disallow
    configuration.http1_1ConnectionDebugInitializer = HTTPTransport.keepAlive
    configuration.tlsConfiguration = try setup.tls.configuration()
    configuration.dnsOverride = setup.hosts
    http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  deinit { close() }

  /// Closes all connections; requests in progress end with an error.
  package func close() { http.shutdown { _ in } }

  /// Whether a certificate file has changed since, since certificates are renewed while an agent runs.
  package var isOutdated: Bool { HTTPTransport.identities(paths) != files }

  private static func identities(_ paths: [String]) -> [FileIdentity?] {
    paths.map { try? Files.identity($0) }
  }

  /// Makes the kernel probe an idle connection, because a watch may be silent for minutes. A connection without answers
  /// fails after 20 seconds.
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

  /// An HTTP request.
  package struct Request: Sendable {
    var method: String
    var url: String
    /// Header fields in order.
    package var headers: [(name: String, value: String)]
    var body: String?

    /// Makes a request.
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

  /// A complete answer.
  package struct Answer: Sendable {
    /// HTTP status.
    package let status: UInt
    /// Content of the answer.
    package let body: [UInt8]
  }

  /// Longest answer or line, in bytes; far more than a large cluster needs.
  package static let limitBytes = 256 << 20

  /// Sends a request and reads the complete answer.
  ///
  /// - Parameter limit: bounds the time to the end of the answer.
  /// - Throws: an error that `TransportProblem` describes.
  package func answer(to request: Request, limit: Duration) async throws -> Answer {
    try await bounded(by: limit) {
      let response = try await self.http.execute(request.request, timeout: .nanoseconds(limit.nanoseconds))
      let bytes = try await response.body.collect(upTo: HTTPTransport.limitBytes)
      return Answer(status: response.status.code, body: Array(buffer: bytes))
    }
  }

  /// Runs `body`, and cancels it after a time.
  ///
  /// - Throws: `TransportProblem.slow` after that time, or an error of `body`.
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

  /// Sends a request and reports the parts of its answer as they arrive.
  ///
  /// - Parameters:
  ///   - limit: bounds the time to the head of the answer.
  ///   - onHead: receives the HTTP status.
  ///   - onPart: receives the status and the next bytes.
  /// - Throws: an error that `TransportProblem` describes, or an error of `onPart`.
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
