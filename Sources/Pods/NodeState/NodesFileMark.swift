package import Linux

/// Which state of the nodes file the last `causeway-hostgw sync` read, kept under the state directory.
///
/// The plugin compares it with the file at each ADD, for the price of one stat(2): only where they differ is the
/// helper run.
package struct NodesFileMark: Sendable, Equatable {
  private let text: String

  /// The mark of a file as stat(2) tells it.
  package init(_ identity: FileIdentity) {
    let modified = identity.modified.components
    text =
      "\(identity.inode) \(identity.sizeBytes) \(modified.seconds).\(modified.attoseconds / 1_000_000_000)\n"
  }

  private static func path(_ stateDirectory: String) -> String { "\(stateDirectory)/nodes-file.mark" }

  /// Whether this is what the last `sync` of that state directory read; a mark that cannot be read tells of nothing, and
  /// is written anew.
  package func isStored(in stateDirectory: String) -> Bool {
    (try? Files.read(NodesFileMark.path(stateDirectory), limit: 4096)) == Array(text.utf8)
  }

  /// Stores the mark; the file's directory is made where it is missing.
  package func store(in stateDirectory: String) throws(SystemError) {
    try Files.makeDirectory(stateDirectory)
    try Files.replace(NodesFileMark.path(stateDirectory), with: Array(text.utf8))
  }

  /// Removes the mark of that state directory; absence is success.
  package static func remove(from stateDirectory: String) throws(SystemError) {
    try Files.remove(path(stateDirectory))
  }
}
