internal import CLinux
internal import Glibc

/// An open network namespace (network_namespaces(7)).
package struct NetworkNamespace: ~Copyable, Sendable {
  /// What tells one namespace from another while both exist (ioctl_ns(2)).
  package struct Identity: Sendable, Hashable {
    package let device: UInt64
    package let inode: UInt64

    package init(device: UInt64, inode: UInt64) {
      self.device = device
      self.inode = inode
    }
  }

  package let descriptor: OwnedDescriptor
  /// How it was opened, for messages.
  package let path: String
  package let identity: Identity

  /// Opens the namespace at `path`; EINVAL where that is something else.
  package init(_ path: String) throws(SystemError) {
    // O_NONBLOCK: a FIFO put there must not hold us up.
    let descriptor = OwnedDescriptor(
      owning: try retryingOnInterrupt("open the network namespace", path) {
        unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
      })
    guard clinux_namespace_type(descriptor.number) == CLONE_NEWNET else {
      throw SystemError("open the network namespace", path, errno: EINVAL)
    }
    var status = stat()
    _ = try retryingOnInterrupt("stat", path) { unsafe fstat(descriptor.number, &status) }
    identity = Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    self.descriptor = descriptor
    self.path = path
  }

  /// The namespace of the calling thread.
  package static func current() throws(SystemError) -> NetworkNamespace {
    try NetworkNamespace("/proc/thread-self/ns/net")
  }

  /// Runs `body` in this namespace, on a thread made for it: a thread that never comes back from a namespace
  /// cannot leave another in the wrong one. `body` should do no more than open a socket or write a sysctl.
  package func run<Value: Sendable>(
    _ body: @escaping @Sendable () throws(SystemError) -> Value
  ) throws(SystemError) -> Value {
    let number = descriptor.number
    let subject = path
    return try onOwnThread { () throws(SystemError) -> Value in
      _ = try retryingOnInterrupt("enter the network namespace", subject) {
        clinux_setns(number, CLONE_NEWNET)
      }
      return try body()
    }
  }
}
