internal import Addresses
internal import Glibc
internal import Linux
internal import Netlink

/// Finds attachments whose pod is no more though nobody has deleted them, as after a runtime has lost what it knew.
///
/// Each is then to be deleted by itself, by its own name: so whatever is added meanwhile is never touched, which a list
/// of what is valid (SPEC, "GC") cannot promise without holding up every ADD.
package struct GoneAttachments: Sendable {
  private let records: RecordDirectory

  /// How old a record must be: an ADD makes the record first and the cable then.
  private static let leastAge = Duration.seconds(60)

  package init(stateDirectory: String) {
    records = RecordDirectory(stateDirectory: stateDirectory)
  }

  /// Those of a network, in the calling thread's network namespace.
  package func find(network: String) throws -> [Attachment] {
    var host = try RouteSocket()
    // The end of a namespace takes its end of the cable along, and so ours: whoever has a cable has a namespace.
    let cables = Set(try host.links().flatMap { [$0.name, $0.alias].compactMap { $0 } })
    let now = MonotonicTime.sinceEpoch
    return try records.keys(network: network).compactMap { key in
      guard let record = records.find(key: key), let written = records.written(key),
        now - written > GoneAttachments.leastAge,
        !cables.contains(record.hostLink), !cables.contains(Attachment.aliasPrefix + key), record.isNamespaceGone
      else { return nil }
      return record.attachment
    }.sorted { $0.key < $1.key }
  }
}

extension AttachmentRecord {
  /// Whether another namespace, or nothing, is where the pod's was. What can't be told is no: where the directory of the
  /// namespaces is missing, too, this process may be in a container that does not see it.
  fileprivate var isNamespaceGone: Bool {
    do throws(SystemError) {
      return try NetworkNamespace(namespacePath).identity != namespace
    } catch {
      guard error.errno == ENOENT, let slash = namespacePath.lastIndex(of: "/") else { return false }
      return (try? Files.identity(String(namespacePath[...slash])))?.isDirectory ?? false
    }
  }
}
