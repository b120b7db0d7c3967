internal import AsyncHTTPClient
internal import Glibc
internal import Linux
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL

/// HTTP connections to etcd, made with the certificates as they were when this was made.
final class EtcdTransport: Sendable {
  private let http: HTTPClient
  /// The states of the certificate files that were read.
  private let files: [FileIdentity?]
  private let paths: [String]

  init(_ access: EtcdAccess) throws(EtcdError) {
    paths = access.files
    files = EtcdTransport.identities(paths)
    var configuration = HTTPClient.Configuration()
    configuration.httpVersion = .http1Only
    configuration.timeout.connect = .seconds(3)
    // Whoever calls knows better when to try again, and where.
    configuration.connectionPool.retryConnectionEstablishment = false
    configuration.redirectConfiguration = .disallow
    configuration.http1_1ConnectionDebugInitializer = EtcdTransport.keepAlive
    configuration.tlsConfiguration = try EtcdTransport.tls(access)
    http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }

  deinit { close() }

  /// Ends all connections and whatever goes on through them.
  func close() { http.shutdown { _ in } }

  /// Whether the certificates have changed on disk since: they are renewed while an agent lives.
  var isOutdated: Bool { EtcdTransport.identities(paths) != files }

  private static func identities(_ paths: [String]) -> [FileIdentity?] {
    paths.map { (try? Files.identity($0)) ?? nil }
  }

  private static func tls(_ access: EtcdAccess) throws(EtcdError) -> TLSConfiguration {
    func using<Value>(_ file: String, _ body: (String) throws -> Value) throws(EtcdError) -> Value {
      do { return try body(file) } catch { throw .tls(file: file, reason: "\(error)") }
    }
    var tls = TLSConfiguration.makeClientConfiguration()
    if let file = access.caFile { tls.trustRoots = .certificates(try using(file, NIOSSLCertificate.fromPEMFile)) }
    if let file = access.certificateFile {
      tls.certificateChain = try using(file, NIOSSLCertificate.fromPEMFile).map { .certificate($0) }
    }
    if let file = access.keyFile {
      tls.privateKey = .privateKey(try using(file) { try NIOSSLPrivateKey(file: $0, format: .pem) })
    }
    return tls
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

  /// A whole answer.
  struct Answer: Sendable {
    let status: UInt
    let body: [UInt8]
  }

  /// What a node's whole cluster may take in one answer or one line.
  static let limitBytes = 256 << 20

  /// Sends a request and reads the answer to its end; `limit` bounds all of it.
  func post(_ url: String, _ body: String, token: String?, limit: Duration) async throws -> Answer {
    try await withThrowingTaskGroup { group in
      group.addTask {
        let response = try await self.http.execute(
          EtcdTransport.request(url, body, token), timeout: .nanoseconds(limit.nanoseconds))
        let bytes = try await response.body.collect(upTo: EtcdTransport.limitBytes)
        return Answer(status: response.status.code, body: Array(buffer: bytes))
      }
      group.addTask {
        try await Task.sleep(for: limit)
        throw TransportProblem.slow(limit)
      }
      defer { group.cancelAll() }
      guard let answer = try await group.next() else { throw CancellationError() }
      return answer
    }
  }

  /// Sends a request whose answer is one JSON text on each line, and hands on each line until there are no more.
  ///
  /// - Parameter limit: bounds the time to the answer's head.
  func stream(
    _ url: String, _ body: String, token: String?, limit: Duration, onLine: @Sendable ([UInt8]) throws -> Void
  ) async throws {
    var request = EtcdTransport.request(url, body, token)
    // Makes a member that has lost its leader end the watch, instead of being silent.
    request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
    let response = try await http.execute(request, timeout: .nanoseconds(limit.nanoseconds))
    var lines = LineSplitter(limit: EtcdTransport.limitBytes)
    for try await part in response.body {
      for line in try lines.add(Array(buffer: part)) { try onLine(line) }
    }
    if let rest = lines.rest { try onLine(rest) }
  }

  private static func request(_ url: String, _ body: String, _ token: String?) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: url)
    request.method = .POST
    request.headers.add(name: "Content-Type", value: "application/json")
    if let token { request.headers.add(name: "Authorization", value: token) }
    request.body = .bytes(Array(body.utf8))
    return request
  }
}

extension Duration {
  fileprivate var nanoseconds: Int64 {
    components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
  }
}
