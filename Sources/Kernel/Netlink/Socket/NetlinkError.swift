package import Linux

/// Why a netlink exchange failed.
package enum NetlinkError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kernel said no: what was asked, on what, its errno and, where it gave one, its own words (NLMSGERR_ATTR_MSG).
  case refused(operation: String, subject: String, errno: Int32, reason: String?)
  /// The socket itself failed.
  case socket(SystemError)
  /// A message from the kernel that cannot be read.
  case malformed(operation: String, reason: String)

  /// The errno behind the failure, 0 where there is none.
  package var errno: Int32 {
    switch self {
    case .refused(_, _, let errno, _): errno
    case .socket(let error): error.errno
    case .malformed: 0
    }
  }

  package var description: String {
    switch self {
    case .refused(let operation, let subject, let errno, let reason):
      "\(operation) \(subject): \(SystemError.text(of: errno))" + (reason.map { " (\($0))" } ?? "")
    case .socket(let error): error.description
    case .malformed(let operation, let reason): "\(operation): cannot read the kernel's answer: \(reason)"
    }
  }
}
