package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink
internal import NodeState

extension CNIError {
  /// The one place where a room's error becomes a code of CNI.
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
  /// What passes when pods go or a lock is freed is code 11; what the configuration must change is 7.
  fileprivate var code: CNIError.Code {
    switch self {
    case .exhausted, .locked: .tryAgainLater
    case .invalidRanges, .requestedGateway, .requestedOutside: .invalidConfiguration
    case .duplicate, .requestedHeld: .failed
    case .system: .ioFailure
    }
  }
}
