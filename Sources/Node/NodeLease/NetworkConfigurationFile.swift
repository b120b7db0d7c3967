internal import Glibc
internal import Linux

/// The container runtime's network configuration (`--cni-conf-source`, `--cni-conf-file`).
///
/// It is placed last, because containerd before 2.0 never asks STATUS and takes it for the sign that pods can be served.
struct NetworkConfigurationFile: Sendable {
  let source: String
  let destination: String

  /// Copies the source if the destination differs, and returns whether it did.
  ///
  /// - Throws: `SystemError`; ENOENT if there is no source.
  func place() throws(SystemError) -> Bool {
    guard let content = try Files.read(source, limit: 1 << 20) else {
      throw SystemError("read the network configuration", source, errno: ENOENT)
    }
    return try Files.ensure(destination, content)
  }

  /// Removes the destination unless another program has changed it since `place`, and returns whether it was there.
  func remove() throws(SystemError) -> Bool {
    guard let content = try Files.read(destination, limit: 1 << 20),
      content == (try Files.read(source, limit: 1 << 20))
    else { return false }
    try Files.remove(destination)
    return true
  }
}
