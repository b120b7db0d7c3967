package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink
internal import NodeState

extension CNIError {
  /// Gives a module's error its CNI code, for all verbs.
  package init(_ error: any Error) {
    switch error {
    case let error as CNIError: self = error
    case let error as JSONError: self.init(.invalidConfiguration, "network configuration: \(error)")
    case let error as IPAMError: self.init(error.code, error.description)
    case let error as LeaseError: self.init(.tryAgainLater, error.description)
    case let error as NetlinkError: self.init(.failed, error.description)
    case let error as SystemError:
      self.init(error.errno == EWOULDBLOCK ? .tryAgainLater : .ioFailure, error.description)
    default: self.init(.failed, "\(error)")
    }
  }
}

extension IPAMError {
  /// Code 11 for errors that pass when pods are removed or a lock is freed, 7 for those of the configuration.
  fileprivate var code: CNIError.Code {
    switch self {
    case .exhausted, .locked: .tryAgainLater
    case .invalidRanges, .requestedGateway, .requestedOutside: .invalidConfiguration
    case .duplicate, .requestedHeld: .failed
    case .system: .ioFailure
    }
  }
}
