package import Linux

/// The error of a netlink exchange.
package enum NetlinkError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The kernel refused a request; `reason` is the kernel's own text, if it sent one (NLMSGERR_ATTR_MSG).
  case refused(operation: String, subject: String, errno: Int32, reason: String?)
  /// A system call on the socket failed.
  case socket(SystemError)
  /// A message from the kernel cannot be read.
  case malformed(operation: String, reason: String)

  /// The errno of the failure; 0 if there is none.
  package var errno: Int32 {
    switch self {
    case .refused(_, _, let errno, _): errno
    case .socket(let error): error.errno
    case .malformed: 0
    }
  }

  /// The operation, its subject and the reason, in one line.
  package var description: String {
    switch self {
    case .refused(let operation, let subject, let errno, let reason):
      "\(operation) \(subject): \(SystemError.text(of: errno))" + (reason.map { " (\($0))" } ?? "")
    case .socket(let error): error.description
    case .malformed(let operation, let reason): "\(operation): cannot read the kernel's answer: \(reason)"
    }
  }
}
