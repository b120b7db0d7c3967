internal import JSON
internal import StoreTransport
internal import Synchronization

/// Client of etcd's v3 API through its JSON gateway. Uses one endpoint as long as it answers, then the next.
package final class EtcdClient: Sendable {
  private let access: EtcdAccess
  private let shared: Mutex<Shared>

  private struct Shared {
    var transport: HTTPTransport?
    /// Index of the endpoint in use; random at first, so that many agents spread over all endpoints.
    var current: Int
    var token: String?
  }

  /// Longest time for a call at one endpoint.
  static let limit = Duration.seconds(5)

  /// Makes a client; it connects with its first call.
  package init(_ access: EtcdAccess) {
    self.access = access
    shared = Mutex(Shared(current: access.endpoints.indices.randomElement() ?? 0))
  }

  /// All endpoints, for messages.
  package var source: String { access.endpoints.joined(separator: ",") }

  /// Endpoint that calls use now.
  var endpoint: String { access.endpoints[shared.withLock { $0.current }] }

  var layout: EtcdLayout { EtcdLayout(prefix: access.prefix) }

  /// Calls one endpoint after another until one answers, beginning with the one in use. A refusal is an answer.
  ///
  /// - Throws: `EtcdError`.
  func call(_ path: String, _ body: JSONValue) async throws -> JSONObject {
    var reasons: [String] = []
    for _ in access.endpoints {
      let endpoint = endpoint
      do {
        return try await call(path, body, at: endpoint)
      } catch EtcdError.badAnswer(_, let reason) {
        reasons.append("\(endpoint): \(reason)")
      }
      try Task.checkCancellation()
      leave(endpoint)
    }
    throw EtcdError.unreachable(reasons)
  }

  /// Calls one endpoint only.
  ///
  /// - Throws: `EtcdError`.
  func call(_ path: String, _ body: JSONValue, at endpoint: String) async throws -> JSONObject {
    do {
      return try await post(path, body, at: endpoint, token: try await token(endpoint))
    } catch EtcdError.refused(_, let reason, let code) where EtcdClient.isAboutToken(code, reason) {
      shared.withLock { $0.token = nil }
      return try await post(path, body, at: endpoint, token: try await token(endpoint))
    }
  }

  /// Reads an answer of many messages, one on each line.
  ///
  /// - Parameter onLine: receives the `result` of each message.
  /// - Throws: `EtcdError`.
  func stream(
    _ path: String, _ body: JSONValue, at endpoint: String, onLine: @Sendable (JSONObject) throws -> Void
  ) async throws {
    let token = try await token(endpoint)
    var request = try EtcdClient.request(endpoint + path, body, token: token)
    // A member that has lost its leader then ends the watch instead of being silent.
    request.headers.append((name: "Grpc-Metadata-hasleader", value: "true"))
    func read(_ line: [UInt8]) throws {
      guard let object = try JSONValue(parsing: line).object else { return }
      if let error = object["error"]?.object {
        throw EtcdError.watchEnded(endpoint: endpoint, reason: error["message"]?.string ?? "an error without a message")
      }
      // A refusal has the form of other calls, without `result`.
      if let reason = object["error"]?.string {
        throw EtcdError.refused(endpoint: endpoint, reason: reason, code: object.number("code"))
      }
      if let result = object["result"]?.object { try onLine(result) }
    }
    try await connected(endpoint) { transport in
      var lines = LineSplitter(limit: HTTPTransport.limitBytes)
      try await transport.stream(request, limit: EtcdClient.limit) { _, part in
        for line in try lines.add(part) { try read(line) }
      }
      if let rest = lines.rest { try read(rest) }
    }
  }

  private static func request(_ url: String, _ body: JSONValue, token: String?) throws -> HTTPTransport.Request {
    HTTPTransport.Request(
      method: "POST", url: url,
      headers: [(name: "Content-Type", value: "application/json")]
        + (token.map { [(name: "Authorization", value: $0)] } ?? []), body: try body.text())
  }

  /// Switches to the next endpoint, unless another task has done so already.
  func leave(_ endpoint: String) {
    shared.withLock { shared in
      guard access.endpoints[shared.current] == endpoint else { return }
      shared.current = (shared.current + 1) % access.endpoints.count
    }
  }

  /// Closes all connections. Connections from an address that this node no longer has would never be answered.
  func reconnect() {
    shared.withLock { $0.transport.take() }?.close()
  }

  private func post(
    _ path: String, _ body: JSONValue, at endpoint: String, token: String?
  ) async throws -> JSONObject {
    let answer = try await connected(endpoint) { transport in
      try await transport.answer(to: EtcdClient.request(endpoint + path, body, token: token), limit: EtcdClient.limit)
    }
    guard let object = (try? JSONValue(parsing: answer.body))?.object else {
      let hint = answer.status == 404 ? "; is it an etcd, with --enable-grpc-gateway?" : ""
      throw EtcdError.badAnswer(
        endpoint: endpoint, reason: "status \(answer.status) without JSON for \(path)\(hint)")
    }
    if answer.status == 200 { return object }
    let reason = object["error"]?.string ?? object["message"]?.string ?? "status \(answer.status)"
    // Another member would answer with these gRPC codes too; with any other code, this member has a problem.
    let code = object.number("code")
    guard [3, 5, 6, 7, 9, 11, 16].contains(code) else { throw EtcdError.badAnswer(endpoint: endpoint, reason: reason) }
    throw EtcdError.refused(endpoint: endpoint, reason: reason, code: code)
  }

  /// Runs a body with the connection, and turns transport errors into `EtcdError`.
  private func connected<Value>(
    _ endpoint: String, _ body: (HTTPTransport) async throws -> Value
  ) async throws -> Value {
    let transport = try shared.withLock { shared throws(EtcdError) in
      if let transport = shared.transport, !transport.isOutdated { return transport }
      let transport: HTTPTransport
      do throws(TLSMaterialError) {
        transport = try HTTPTransport(.init(tls: access.tls))
      } catch {
        throw .tls(file: error.name, reason: error.reason)
      }
      shared.transport = transport
      return transport
    }
    do {
      return try await body(transport)
    } catch {
      if error is EtcdError || error is CancellationError { throw error }
      try Task.checkCancellation()
      throw EtcdError.badAnswer(endpoint: endpoint, reason: "\(TransportProblem(error))")
    }
  }

  /// Token to send; `nil` if no user is given or etcd needs none.
  private func token(_ endpoint: String) async throws -> String? {
    guard let username = access.username, let password = access.password else { return nil }
    if let token = shared.withLock({ $0.token }) { return token }
    do {
      let answer = try await post(
        "/v3/auth/authenticate", ["name": .string(username), "password": .string(password.text)], at: endpoint,
        token: nil)
      let token = answer["token"]?.string
      shared.withLock { $0.token = token }
      return token
    } catch EtcdError.refused(_, _, code: 9) {
      // Code 9 is gRPC's FAILED_PRECONDITION: authentication is not enabled.
      return nil
    }
  }

  private static func isAboutToken(_ code: Int64, _ reason: String) -> Bool {
    code == 16 || reason.contains("invalid auth token") || reason.contains("revision of auth store is old")
  }
}
