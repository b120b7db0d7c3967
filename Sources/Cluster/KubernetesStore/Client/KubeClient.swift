internal import JSON
internal import Linux
internal import StoreTransport
internal import Synchronization

/// Calls of the Kubernetes API about nodes: list, watch, and this node's own status. Nothing else is ever asked for.
package final class KubeClient: Sendable {
  /// How long an answer may be silent. A server tells where a watch stands about each minute, also where nothing
  /// happens; what is silent for longer is dead, whatever the connection says.
  static let longestSilence = Duration.seconds(75)
  /// How long a call, or the beginning of an answer, may take.
  private static let limit = Duration.seconds(10)
  /// How long a page may take.
  private static let pageLimit = Duration.seconds(60)
  /// How many nodes one page has.
  private static let pageSize = 500
  /// What a list may have at most, far beyond the clusters that there are: one without end would fill the memory.
  private static let mostNodes = 1 << 17
  private static let mostPages = 1 << 10
  /// How much of a refusal is read, in bytes.
  private static let refusalLimit = 1 << 16

  private let accessSource: KubeAccessSource
  private let reader: KubeReader
  private let shared = Mutex(Shared())

  private struct Shared {
    var connection: Connection?
    /// What the connection was read from.
    var identity: FileIdentity?
    /// The server that was asked last.
    var endpoint: String?
  }

  private struct Connection {
    let access: KubeAccess
    let transport: HTTPTransport
  }

  /// - Parameters:
  ///   - annotationPrefix: what flannel's annotations begin with, such as `flannel.alpha.coreos.com/`.
  ///   - ownName: of this node.
  package init(_ access: KubeAccessSource, annotationPrefix: String, ownName: String) {
    accessSource = access
    reader = KubeReader(prefix: annotationPrefix, ownName: ownName)
  }

  /// Where the API is, for people.
  package var source: String { shared.withLock { $0.endpoint } ?? accessSource.name }

  var ownName: String { reader.ownName }
  var annotationPrefix: String { reader.prefix }

  /// All nodes as they were at one moment.
  func list() async throws -> KubeState {
    // Pages that take too long to be asked for are forgotten by the server.
    var attempt = 0
    while true {
      do {
        return try await listPages()
      } catch KubeError.expired where attempt < 3 {
        attempt += 1
      }
    }
  }

  private func listPages() async throws -> KubeState {
    var nodes: [KubeNode] = []
    var continuation = ""
    for _ in 0..<KubeClient.mostPages where nodes.count <= KubeClient.mostNodes {
      let page = try await page(continuation)
      nodes += page.nodes
      continuation = page.continuation
      if continuation.isEmpty { return KubeState(nodes, resourceVersion: page.resourceVersion) }
    }
    throw KubeError.badAnswer(endpoint: source, reason: "its list of nodes has no end")
  }

  private func page(_ continuation: String) async throws -> KubePage {
    let query = continuation.isEmpty ? "" : "&continue=\(KubeClient.escaped(continuation))"
    return try await asking("list", "nodes") { connection, headers in
      let request = HTTPTransport.Request(
        url: "\(connection.access.base)/api/v1/nodes?limit=\(KubeClient.pageSize)\(query)", headers: headers)
      return try await connection.transport.bounded(by: KubeClient.pageLimit) { [reader] in
        var page = KubePage()
        var isWhole = false
        try await KubeClient.read(connection.transport, request, KubeReader.list, limit: KubeClient.pageLimit) {
          piece in
          if piece.isElement {
            if let node = try reader.node(piece.text) { page.nodes.append(node) }
            guard page.nodes.count <= KubeClient.mostNodes else {
              throw TransportProblem.other("its list of nodes has no end")
            }
          } else {
            isWhole = try reader.finish(&page, piece.text)
          }
        }
        guard isWhole else { throw TransportProblem.other("its answer is no list of nodes") }
        return page
      }
    }
  }

  /// Hands on everything that happens to nodes from a version on; returns when the server ends it, which it does after
  /// some minutes.
  ///
  /// - Parameter onStart: told when the server has agreed.
  func watch(
    from resourceVersion: String, onStart: @Sendable () -> Void, onEvent: @Sendable (KubeEvent) throws -> Void
  ) async throws {
    // Each for another time, so that many agents do not begin anew together.
    let seconds = Int.random(in: 300...600)
    try await asking("watch", "nodes") { [reader] connection, headers in
      let request = HTTPTransport.Request(
        url: "\(connection.access.base)/api/v1/nodes?watch=true&allowWatchBookmarks=true"
          + "&resourceVersion=\(KubeClient.escaped(resourceVersion))&timeoutSeconds=\(seconds)", headers: headers)
      try await KubeClient.read(
        connection.transport, request, KubeReader.event, limit: KubeClient.limit,
        onHead: { if $0 == 200 { onStart() } },
        onPiece: { piece in
          guard let event = try reader.event(piece.text) else { throw TransportProblem.other("its answer is no event") }
          try onEvent(event)
        })
    }
  }

  /// Changes this node's annotations and status. The watch tells what came of it: an answer may be older than what the
  /// watch has told meanwhile, as where the node was deleted.
  func patchStatus(_ patch: JSONValue) async throws {
    try await asking("patch", "nodes/status") { connection, headers in
      let request = HTTPTransport.Request(
        method: "PATCH", url: "\(connection.access.base)/api/v1/nodes/\(KubeClient.escaped(ownName))/status",
        headers: headers + [(name: "Content-Type", value: "application/strategic-merge-patch+json")],
        body: try patch.text())
      try await connection.transport.bounded(by: KubeClient.limit) {
        try await KubeClient.read(connection.transport, request, .members([:]), limit: KubeClient.limit) { _ in }
      }
    }
  }

  /// Ends all connections: those from an address that this node no longer has would wait for answers in vain.
  func reconnect() {
    shared.withLock { $0.connection.take() }?.transport.close()
  }

  // MARK: Requests

  /// Reads an answer piece by piece; what says no is an error.
  private static func read(
    _ transport: HTTPTransport, _ request: HTTPTransport.Request, _ shape: JSONSieve.Shape, limit: Duration,
    onHead: (UInt) -> Void = { _ in }, onPiece: (JSONSieve.Piece) throws -> Void
  ) async throws {
    var sieve = JSONSieve(shape)
    var refusal: (status: UInt, text: [UInt8])?
    try await transport.stream(
      request, limit: limit,
      onHead: { status in
        if status != 200 { refusal = (status, []) }
        onHead(status)
      },
      onPart: { _, bytes in
        if let refused = refusal {
          let text = refused.text + bytes.prefix(KubeClient.refusalLimit)
          refusal?.text = text
          if text.count > KubeClient.refusalLimit { throw Refusal(status: refused.status, text: text) }
        } else {
          for piece in try sieve.add(bytes) { try onPiece(piece) }
        }
      })
    if let refusal { throw Refusal(status: refusal.status, text: refusal.text) }
    guard sieve.isBetweenTexts else { throw TransportProblem.other("its answer breaks off") }
  }

  /// An answer other than 200.
  private struct Refusal: Error {
    let status: UInt
    let reason: String

    init(status: UInt, text: [UInt8]) {
      self.status = status
      let message = (try? JSONValue(parsing: text))?.object?["message"]?.string
      reason = message ?? "status \(status) without a reason that could be read"
    }
  }

  /// Runs a request with what tells who we are, once more where that has changed meanwhile, and turns what goes wrong into
  /// words.
  private func asking<Value>(
    _ verb: String, _ resource: String,
    _ body: (_ connection: Connection, _ headers: [(name: String, value: String)]) async throws -> Value
  ) async throws -> Value {
    var connection = try connection()
    var token = try KubeClient.token(connection.access)
    for isFirst in [true, false] {
      let endpoint = connection.access.server
      do {
        let authorization = token.map { [(name: "Authorization", value: "Bearer \($0.text)")] } ?? []
        return try await body(connection, [(name: "Accept", value: "application/json")] + authorization)
      } catch let refusal as Refusal {
        if refusal.status == 401, isFirst {
          let before = token
          connection = try self.connection()
          token = try KubeClient.token(connection.access)
          if token != before { continue }
        }
        if refusal.status == 410 { throw KubeError.expired(endpoint: endpoint) }
        throw KubeError.refused(
          endpoint: endpoint, verb: verb, resource: resource, status: refusal.status, reason: refusal.reason)
      } catch {
        if error is KubeError || error is CancellationError { throw error }
        try Task.checkCancellation()
        throw KubeError.badAnswer(endpoint: endpoint, reason: "\(TransportProblem(error))")
      }
    }
    throw KubeError.badAnswer(endpoint: connection.access.server, reason: "it knows no token of ours")
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

  /// As it is now; never for a connection that anybody can read.
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

  /// A text in a URL (RFC 3986, section 2.3).
  private static func escaped(_ text: String) -> String {
    text.utf8.map { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
        UInt8(ascii: "~"):
        String(UnicodeScalar(byte))
      default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }.joined()
  }
}
