internal import JSON
internal import StoreTransport
internal import Synchronization

/// Calls of etcd's v3 API through its JSON gateway, at one endpoint as long as that answers, then at the next.
package final class EtcdClient: Sendable {
  private let access: EtcdAccess
  private let shared: Mutex<Shared>

  private struct Shared {
    var transport: HTTPTransport?
    /// The endpoint that answered last; at first any, so that many agents spread over all of them.
    var current: Int
    var token: String?
  }

  /// How long a call may take at one endpoint.
  static let limit = Duration.seconds(5)

  package init(_ access: EtcdAccess) {
    self.access = access
    shared = Mutex(Shared(current: access.endpoints.indices.randomElement() ?? 0))
  }

  /// All endpoints, for people.
  package var source: String { access.endpoints.joined(separator: ",") }

  /// The endpoint that calls go to now.
  var endpoint: String { access.endpoints[shared.withLock { $0.current }] }

  var layout: EtcdLayout { EtcdLayout(prefix: access.prefix) }

  /// Calls one endpoint after the other until one answers, beginning with the last that did; an answer that says no is
  /// an answer.
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

  /// Calls this endpoint only.
  func call(_ path: String, _ body: JSONValue, at endpoint: String) async throws -> JSONObject {
    do {
      return try await post(path, body, at: endpoint, token: try await token(endpoint))
    } catch EtcdError.refused(_, let reason, let code) where EtcdClient.isAboutToken(code, reason) {
      shared.withLock { $0.token = nil }
      return try await post(path, body, at: endpoint, token: try await token(endpoint))
    }
  }

  /// Hands on each line of an answer that goes on.
  func stream(
    _ path: String, _ body: JSONValue, at endpoint: String, onLine: @Sendable (JSONObject) throws -> Void
  ) async throws {
    let token = try await token(endpoint)
    var request = try EtcdClient.request(endpoint + path, body, token)
    // Makes a member that has lost its leader end the watch, instead of being silent.
    request.headers.append((name: "Grpc-Metadata-hasleader", value: "true"))
    func read(_ line: [UInt8]) throws {
      guard let object = try JSONValue(parsing: line).object else { return }
      if let error = object["error"]?.object {
        throw EtcdError.watchEnded(endpoint: endpoint, reason: error["message"]?.string ?? "an error without words")
      }
      // A refusal comes as on any other call, without `result`.
      if let reason = object["error"]?.string {
        throw EtcdError.refused(endpoint: endpoint, reason: reason, code: object.number("code"))
      }
      if let result = object["result"]?.object { try onLine(result) }
    }
    try await reaching(endpoint) { transport in
      var lines = LineSplitter(limit: HTTPTransport.limitBytes)
      try await transport.stream(request, limit: EtcdClient.limit) { _, part in
        for line in try lines.add(part) { try read(line) }
      }
      if let rest = lines.rest { try read(rest) }
    }
  }

  private static func request(_ url: String, _ body: JSONValue, _ token: String?) throws -> HTTPTransport.Request {
    HTTPTransport.Request(
      method: "POST", url: url,
      headers: [(name: "Content-Type", value: "application/json")]
        + (token.map { [(name: "Authorization", value: $0)] } ?? []), body: try body.text())
  }

  /// Makes the next endpoint the current one, unless somebody else has done so.
  func leave(_ endpoint: String) {
    shared.withLock { shared in
      guard access.endpoints[shared.current] == endpoint else { return }
      shared.current = (shared.current + 1) % access.endpoints.count
    }
  }

  /// Ends all connections: those from an address that this node no longer has would wait for answers in vain.
  func reconnect() {
    shared.withLock { $0.transport.take() }?.close()
  }

  private func post(
    _ path: String, _ body: JSONValue, at endpoint: String, token: String?
  ) async throws -> JSONObject {
    let answer = try await reaching(endpoint) { transport in
      try await transport.answer(to: EtcdClient.request(endpoint + path, body, token), limit: EtcdClient.limit)
    }
    guard let object = (try? JSONValue(parsing: answer.body))?.object else {
      let hint = answer.status == 404 ? "; is it an etcd, with --enable-grpc-gateway?" : ""
      throw EtcdError.badAnswer(
        endpoint: endpoint, reason: "status \(answer.status) without JSON for \(path)\(hint)")
    }
    if answer.status == 200 { return object }
    let reason = object["error"]?.string ?? object["message"]?.string ?? "status \(answer.status)"
    // Codes of gRPC: what another member would answer alike. All others are troubles of this one.
    let code = object.number("code")
    guard [3, 5, 6, 7, 9, 11, 16].contains(code) else { throw EtcdError.badAnswer(endpoint: endpoint, reason: reason) }
    throw EtcdError.refused(endpoint: endpoint, reason: reason, code: code)
  }

  /// Turns what goes wrong on the way into words that begin with the endpoint.
  private func reaching<Value>(
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

  /// The token to send, `nil` where no user is given or etcd asks for none.
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
      // Authentication is not enabled, so no token is asked for.
      return nil
    }
  }

  private static func isAboutToken(_ code: Int64, _ reason: String) -> Bool {
    code == 16 || reason.contains("invalid auth token") || reason.contains("revision of auth store is old")
  }
}
