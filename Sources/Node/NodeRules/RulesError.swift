internal import Glibc
package import Linux
package import Netlink

/// The reason why the node's rules could not be read or changed.
package enum RulesError: Error, Sendable, Equatable, CustomStringConvertible {
  /// libnftables could not apply the ruleset; its message.
  case libnftables(String)
  /// A request to the kernel failed.
  case netlink(NetlinkError)
  /// A file could not be read or written.
  case system(SystemError)

  /// Whether CAP_NET_ADMIN is missing.
  var isForbidden: Bool {
    if case .netlink(let error) = self { error.errno == EPERM } else { false }
  }

  /// Whether the kernel has no nf_tables, or no netfilter at all: the netlink protocol or the subsystem is missing
  /// (net/netfilter/nfnetlink.c).
  var isForWantOfTables: Bool {
    guard case .netlink(let error) = self else { return false }
    return [EPROTONOSUPPORT, EOPNOTSUPP, EINVAL].contains(error.errno)
  }

  /// The message, with operation, subject and cause.
  package var description: String {
    switch self {
    case .libnftables(let message): "libnftables: \(message)"
    case .netlink(let error): error.description
    case .system(let error): error.description
    }
  }
}
