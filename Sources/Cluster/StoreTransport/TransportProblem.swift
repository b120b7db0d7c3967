internal import AsyncHTTPClient
internal import Linux
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Reason why a request has no complete answer.
package enum TransportProblem: Error, CustomStringConvertible {
  /// The answer is not complete within this time.
  case slow(Duration)
  /// The kernel reports an error of the connection.
  case refused(errno: Int32)
  /// The name cannot be resolved.
  case unknownHost(String)
  /// The server closed the connection.
  case closed
  /// The TLS handshake failed.
  case tls(String)
  /// Another reason.
  case other(String)

  /// Describes an error of the HTTP client or of its libraries.
  package init(_ error: any Error) {
    switch error {
    case let problem as TransportProblem: self = problem
    case let error as IOError: self = .refused(errno: error.errnoCode)
    case let error as NIOConnectionError:
      if let cause = error.connectionErrors.first?.error as? IOError {
        self = TransportProblem(cause)
      } else if error.dnsAError != nil || error.dnsAAAAError != nil {
        self = .unknownHost(error.host)
      } else {
        self = .other("\(error)")
      }
    case let error as HTTPClientError:
      switch error {
      case .connectTimeout: self = .other("no connection in time")
      case .deadlineExceeded, .readTimeout: self = .other("no answer in time")
      case .remoteConnectionClosed: self = .closed
      default: self = .other(error.shortDescription)
      }
    case let error as NIOSSLError: self = .tls("\(error)")
    case let error as NIOSSLExtraError:
      self = .tls(error == .failedToValidateHostname ? "its certificate is for another host" : "\(error)")
    case let error as BoringSSLError: self = .tls("\(error)")
    default: self = .other("\(error)")
    }
  }

  /// The reason, for messages.
  package var description: String {
    switch self {
    case .slow(let limit): "no answer within \(limit)"
    case .refused(let code): SystemError.text(of: code)
    case .unknownHost(let host): "the name \(host) is unknown"
    case .closed: "it closed the connection"
    case .tls(let reason): "no TLS connection: \(reason)"
    case .other(let reason): reason
    }
  }
}
