internal import JSON
internal import StoreTransport

/// One attempt of a request: an HTTP request with credentials, and the connection that carries it.
struct KubeExchange: Sendable {
  let transport: HTTPTransport
  let request: HTTPTransport.Request

  /// Longest text of a refusal that is read, in bytes.
  private static let refusalLimit = 1 << 16

  /// Reads an answer piece by piece.
  ///
  /// - Parameters:
  ///   - shape: JSON to keep of the answer.
  ///   - limit: bounds the time to the head of the answer.
  ///   - onHead: receives the HTTP status.
  ///   - onPiece: receives each piece when it is complete.
  /// - Throws: `KubeRefusal` if the status is neither 200 nor 201.
  func read(
    _ shape: JSONSieve.Shape, limit: Duration, onHead: (UInt) -> Void = { _ in },
    onPiece: (JSONSieve.Piece) throws -> Void
  ) async throws {
    var sieve = JSONSieve(shape)
    var refusal: (status: UInt, text: [UInt8])?
    try await transport.stream(
      request, limit: limit,
      onHead: { status in
        if status != 200, status != 201 { refusal = (status, []) }
        onHead(status)
      },
      onPart: { _, bytes in
        if let refused = refusal {
          let text = refused.text + bytes.prefix(KubeExchange.refusalLimit)
          refusal?.text = text
          if text.count > KubeExchange.refusalLimit { throw KubeRefusal(status: refused.status, text: text) }
        } else {
          for piece in try sieve.add(bytes) { try onPiece(piece) }
        }
      })
    if let refusal { throw KubeRefusal(status: refusal.status, text: refusal.text) }
    guard sieve.isBetweenTexts else { throw TransportProblem.other("its answer is incomplete") }
  }
}

/// An answer whose status reports an error.
struct KubeRefusal: Error {
  let status: UInt
  let reason: String

  /// - Parameter text: the body, normally a `Status` object of the API.
  init(status: UInt, text: [UInt8]) {
    self.status = status
    let message = (try? JSONValue(parsing: text))?.object?["message"]?.string
    reason = message ?? "status \(status) without a reason that could be read"
  }
}
