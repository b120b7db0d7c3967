internal import Glibc

/// A failed system call: the operation, its subject and the kernel's errno.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The operation in words: "open", "lock", "enter the network namespace".
  package let operation: String
  /// The object of the operation: a path, a name.
  package let subject: String
  /// The errno, such as `ENOENT`.
  package let errno: Int32

  /// An error whose text is "operation subject: text of errno".
  package init(_ operation: String, _ subject: String, errno: Int32) {
    self.operation = operation
    self.subject = subject
    self.errno = errno
  }

  /// The text "operation subject: text of errno".
  package var description: String { "\(operation) \(subject): \(SystemError.text(of: errno))" }

  /// The C library's text for an errno (strerror(3)).
  package static func text(of errno: Int32) -> String {
    guard let text = unsafe strerror(errno) else { return "error \(errno)" }
    return unsafe String(cString: text)
  }
}

/// Runs a call that returns −1 on failure, and repeats it while signals interrupt it (EINTR).
///
/// errno is read directly after the call, before reference counting can change it. The function is specialized because
/// an ADD makes about a hundred such calls.
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
