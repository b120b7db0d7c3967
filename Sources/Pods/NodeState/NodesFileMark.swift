package import Linux

/// A mark of the nodes file's state that the last `causeway-hostgw sync` read, stored in the state directory.
///
/// The plugin compares the mark with the file at each ADD, by one stat(2). It runs the helper only if they differ.
package struct NodesFileMark: Sendable, Equatable {
  private let text: String

  /// The mark of a file's state.
  package init(_ identity: FileIdentity) {
    let modified = identity.modified.components
    text =
      "\(identity.inode) \(identity.sizeBytes) \(modified.seconds).\(modified.attoseconds / 1_000_000_000)\n"
  }

  private static func path(_ stateDirectory: String) -> String { "\(stateDirectory)/nodes-file.mark" }

  /// Whether the state directory holds this mark; false if its mark cannot be read.
  package func isStored(in stateDirectory: String) -> Bool {
    (try? Files.read(NodesFileMark.path(stateDirectory), limit: 4096)) == Array(text.utf8)
  }

  /// Stores the mark and creates the state directory if it is missing.
  package func store(in stateDirectory: String) throws(SystemError) {
    try Files.makeDirectory(stateDirectory)
    try Files.replace(NodesFileMark.path(stateDirectory), with: Array(text.utf8))
  }

  /// Removes the mark of the state directory; absence is success.
  package static func remove(from stateDirectory: String) throws(SystemError) {
    try Files.remove(path(stateDirectory))
  }
}
