internal import JSON
internal import Linux
internal import StoreTransport
internal import Synchronization

/// Client of the Kubernetes API: one connection with the credentials as they are now.
package final class KubeClient: Sendable {
  /// Longest pause within an answer. A server sends a bookmark about once a minute even if nothing changes, so a
  /// connection that is silent for longer is dead.
  static let longestSilence = Duration.seconds(75)

  private let accessSource: KubeAccessSource
  private let shared = Mutex(Shared())

  private struct Shared {
    var connection: Connection?
    /// State of the file that the connection was made from.
    var identity: FileIdentity?
    /// Server of the latest request.
    var endpoint: String?
  }

  private struct Connection {
    let access: KubeAccess
    let transport: HTTPTransport
  }

  /// Makes a client; it connects with its first request.
  ///
  /// - Parameter access: where the server's URL and the credentials are found.
  package init(_ access: KubeAccessSource) { accessSource = access }

  /// URL of the API server, or the file that names it; for messages.
  package var source: String { shared.withLock { $0.endpoint } ?? accessSource.name }

  /// Closes all connections. Connections from an address that this node no longer has would never be answered.
  func reconnect() {
    shared.withLock { $0.connection.take() }?.transport.close()
  }

  /// Sends a request with our credentials. Sends it once more if the server refuses a token that has been renewed
  /// since.
  ///
  /// - Parameter body: reads the answer.
  /// - Throws: `KubeError`.
  func sending<Value>(
    _ request: KubeRequest, _ body: (KubeExchange) async throws -> Value
  ) async throws -> Value {
    var connection = try connection()
    var token = try KubeClient.token(connection.access)
    for isFirst in [true, false] {
      let endpoint = connection.access.server
      do {
        let http = request.http(base: connection.access.base, token: token)
        return try await body(KubeExchange(transport: connection.transport, request: http))
      } catch let refusal as KubeRefusal {
        if refusal.status == 401, isFirst {
          let before = token
          connection = try self.connection()
          token = try KubeClient.token(connection.access)
          if token != before { continue }
        }
        if refusal.status == 410 { throw KubeError.expired(endpoint: endpoint) }
        throw KubeError.refused(
          endpoint: endpoint, verb: request.verb, resource: request.resource, status: refusal.status,
          reason: refusal.reason)
      } catch {
        if error is KubeError || error is CancellationError { throw error }
        try Task.checkCancellation()
        throw KubeError.badAnswer(endpoint: endpoint, reason: "\(TransportProblem(error))")
      }
    }
    throw KubeError.badAnswer(endpoint: connection.access.server, reason: "it accepts none of our tokens")
  }

  private func connection() throws(KubeError) -> Connection {
    let identity = accessSource.identity
    return try shared.withLock { shared throws(KubeError) in
      if let connection = shared.connection, shared.identity == identity, !connection.transport.isOutdated {
        return connection
      }
      let access = try accessSource.read()
      shared.endpoint = access.server
      let transport: HTTPTransport
      do throws(TLSMaterialError) {
        transport = try HTTPTransport(access.transport)
      } catch {
        throw .tls(name: error.name, reason: error.reason)
      }
      let connection = Connection(access: access, transport: transport)
      (shared.connection, shared.identity) = (connection, identity)
      return connection
    }
  }

  /// Reads the token as it is now. An unencrypted connection gets none.
  private static func token(_ access: KubeAccess) throws(KubeError) -> Secret? {
    guard access.isEncrypted else { return nil }
    switch access.token {
    case nil: return nil
    case .text(let token): return token
    case .file(let path):
      let text: [UInt8]?
      do throws(SystemError) { text = try Files.read(path, limit: 1 << 20) } catch {
        throw .access(file: path, reason: "\(error)")
      }
      let token = String(decoding: text ?? [], as: UTF8.self).filter { !$0.isWhitespace }
      guard !token.isEmpty else { throw .access(file: path, reason: "there is no token") }
      return Secret(token)
    }
  }
}
