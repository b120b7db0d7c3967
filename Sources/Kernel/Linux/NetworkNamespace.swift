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
    try NetworkNamespace(currentPath)
  }

  /// Runs `body` in this namespace and comes back; it should do no more than open a socket or write a sysctl.
  ///
  /// Only the calling thread moves, and `body` cannot be suspended, so nobody else runs in the wrong namespace. A thread
  /// made for the purpose would cost an ADD two more context switches, milliseconds on a busy node.
  package func run<Value>(_ body: () throws(SystemError) -> Value) throws(SystemError) -> Value {
    let own = try OwnedDescriptor.open(NetworkNamespace.currentPath, O_RDONLY)
    try NetworkNamespace.enter(descriptor.number, path)
    defer {
      do throws(SystemError) {
        try NetworkNamespace.enter(own.number, NetworkNamespace.currentPath)
      } catch {
        // Whatever came next would happen to the wrong network.
        StandardError.write("cannot come back from a network namespace: \(error)")
        CurrentProcess.exit(1)
      }
    }
    return try body()
  }

  private static let currentPath = "/proc/thread-self/ns/net"

  private static func enter(_ descriptor: Int32, _ path: String) throws(SystemError) {
    _ = try retryingOnInterrupt("enter the network namespace", path) { clinux_setns(descriptor, CLONE_NEWNET) }
  }
}
