internal import CLinux
internal import Glibc

/// An open network namespace (network_namespaces(7)).
package struct NetworkNamespace: ~Copyable, Sendable {
  /// The device and inode numbers of a namespace, unique while it exists (ioctl_ns(2)).
  package struct Identity: Sendable, Hashable {
    /// The device number of nsfs (`st_dev`).
    package let device: UInt64
    /// The inode number of the namespace (`st_ino`).
    package let inode: UInt64

    /// An identity from its stored numbers.
    package init(device: UInt64, inode: UInt64) {
      self.device = device
      self.inode = inode
    }
  }

  /// The descriptor that keeps the namespace alive.
  package let descriptor: OwnedDescriptor
  /// The path by which the namespace was opened, for messages.
  package let path: String
  /// The namespace's device and inode numbers.
  package let identity: Identity

  /// Opens the network namespace at `path`.
  ///
  /// - Throws: EINVAL if the file is not a network namespace.
  package init(_ path: String) throws(SystemError) {
    // O_NONBLOCK: a FIFO put in the file's place must not block us.
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

  /// Opens the network namespace of the calling thread.
  package static func current() throws(SystemError) -> NetworkNamespace {
    try NetworkNamespace(currentPath)
  }

  /// Runs `body` in this namespace and returns to the caller's. `body` should only open a socket or write a sysctl.
  ///
  /// Only the calling thread moves, and `body` cannot be suspended, so no other code runs in the wrong namespace. A
  /// thread for this purpose would cost an ADD two more context switches, milliseconds on a busy node.
  package func run<Value>(_ body: () throws(SystemError) -> Value) throws(SystemError) -> Value {
    let own = try OwnedDescriptor.open(NetworkNamespace.currentPath, O_RDONLY)
    try NetworkNamespace.enter(descriptor.number, path)
    defer {
      do throws(SystemError) {
        try NetworkNamespace.enter(own.number, NetworkNamespace.currentPath)
      } catch {
        // Anything that this process did next would change the wrong network.
        StandardError.write("cannot return from a network namespace: \(error)")
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
