internal import Glibc

/// A system call that failed: what was tried, on what, and the kernel's errno.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What was tried, as a person would say it: "open", "lock", "enter the network namespace".
  package let operation: String
  /// What it was tried on: a path, a name.
  package let subject: String
  /// The errno, such as `ENOENT`.
  package let errno: Int32

  package init(_ operation: String, _ subject: String, errno: Int32) {
    self.operation = operation
    self.subject = subject
    self.errno = errno
  }

  package var description: String { "\(operation) \(subject): \(SystemError.text(of: errno))" }

  /// The C library's text of an errno.
  package static func text(of errno: Int32) -> String {
    guard let text = unsafe strerror(errno) else { return "error \(errno)" }
    return unsafe String(cString: text)
  }
}

/// Runs a call that answers −1 on failure, again while a signal interrupts it; reads errno in the same breath,
/// before any reference counting can change it. Specialized: each of an ADD's hundred calls would
/// else pay for a generic one.
@_specialize(where Result == Int32)
@_specialize(where Result == Int)
package func retryingOnInterrupt<Result: SignedInteger>(
  _ operation: String, _ subject: @autoclosure () -> String, _ call: () -> Result
) throws(SystemError) -> Result {
  while true {
    let result = call()
    if result != -1 { return result }
    let code = errno
    if code != EINTR { throw SystemError(operation, subject(), errno: code) }
  }
}
