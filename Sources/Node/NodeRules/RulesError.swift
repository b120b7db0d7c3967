internal import Glibc
package import Linux
package import Netlink

/// Why the node's rules are not as they must be.
package enum RulesError: Error, Sendable, Equatable, CustomStringConvertible {
  /// libnftables could not carry out the ruleset; its own words.
  case libnftables(String)
  case netlink(NetlinkError)
  case system(SystemError)

  /// Whether the right to ask the kernel is missing (CAP_NET_ADMIN).
  var isForbidden: Bool {
    if case .netlink(let error) = self { error.errno == EPERM } else { false }
  }

  /// Whether the kernel has no nf_tables, or no netfilter at all: no such protocol, or nobody there to answer
  /// (net/netfilter/nfnetlink.c).
  var isForWantOfTables: Bool {
    guard case .netlink(let error) = self else { return false }
    return [EPROTONOSUPPORT, EOPNOTSUPP, EINVAL].contains(error.errno)
  }

  package var description: String {
    switch self {
    case .libnftables(let words): "libnftables: \(words)"
    case .netlink(let error): error.description
    case .system(let error): error.description
    }
  }
}
