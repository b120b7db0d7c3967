package import CNI
internal import Glibc
internal import IPAM
internal import JSON
internal import Linux
internal import Netlink
internal import NodeState
internal import PodRules

extension CNIError {
  /// Gives a module's error its CNI code, for all verbs.
  package init(_ error: PodNetworkError) {
    switch error {
    case .cni(let error): self = error
    case .json(let error): self.init(.invalidConfiguration, "network configuration: \(error)")
    case .ipam(let error): self.init(error.code, error.description)
    case .lease(let error): self.init(.tryAgainLater, error.description)
    case .netlink(let error): self.init(.failed, error.description)
    case .system(let error):
      self.init(error.errno == EWOULDBLOCK ? .tryAgainLater : .ioFailure, error.description)
    case .podRules(.ipam(let error)): self.init(.ipam(error))
    case .podRules(.netlink(let error)): self.init(.netlink(error))
    case .podRules(.system(let error)): self.init(.system(error))
    case .podRules(.legacyTables(let error)): self.init(.failed, error.description)
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
