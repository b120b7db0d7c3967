internal import Glibc
internal import Linux

/// The container runtime's network configuration (`--cni-conf-source`, `--cni-conf-file`): put in its place last, because
/// to containerd before 2.0, which never asks STATUS, it is the sign that pods can be served.
struct NetworkConfigurationFile: Sendable {
  let source: String
  let destination: String

  /// Copies the source where the destination differs; says whether it did.
  ///
  /// - Throws: `SystemError`; ENOENT where there is no source.
  func place() throws(SystemError) -> Bool {
    guard let content = try Files.read(source, limit: 1 << 20) else {
      throw SystemError("read the network configuration", source, errno: ENOENT)
    }
    return try Files.ensure(destination, content)
  }

  /// Removes what `place` put there, unless somebody has changed it since; says whether it was there.
  func remove() throws(SystemError) -> Bool {
    guard let content = try Files.read(destination, limit: 1 << 20),
      content == (try Files.read(source, limit: 1 << 20))
    else { return false }
    try Files.remove(destination)
    return true
  }
}
