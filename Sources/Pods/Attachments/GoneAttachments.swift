internal import Addresses
internal import Glibc
internal import Linux
package import Netlink

/// Finds attachments whose pod no longer exists though no DEL removed them, for example after a runtime lost its state.
///
/// The caller deletes each by its own name, so that an attachment which is added meanwhile is never touched. A list of
/// valid attachments (SPEC, "GC") cannot promise this without delaying every ADD.
package struct GoneAttachments: Sendable {
  private let records: RecordDirectory

  /// Least age of a record: an ADD writes the record before it makes the veth pair.
  private static let leastAge = Duration.seconds(60)

  package init(stateDirectory: String) {
    records = RecordDirectory(stateDirectory: stateDirectory)
  }

  /// The network's attachments without a pod, in the calling thread's network namespace, in order of their keys.
  package func find(network: String) throws(NetlinkError) -> [Attachment] {
    var host = try RouteSocket()
    // When a namespace ends, both ends of the pod's veth pair go: a pod with a link still has its namespace.
    let present = Set(try host.links().flatMap { link in [link.name, link.alias].compactMap { $0 } })
    let now = MonotonicTime.sinceEpoch
    let keys: [String]
    do throws(SystemError) { keys = try records.keys(network: network) } catch { throw .socket(error) }
    return keys.compactMap { key in
      guard let record = records.find(key: key), let written = records.written(key),
        now - written > GoneAttachments.leastAge,
        !present.contains(record.hostLink), !present.contains(Attachment.aliasPrefix + key), record.isNamespaceGone
      else { return nil }
      return record.attachment
    }.sorted { $0.key < $1.key }
  }
}

extension AttachmentRecord {
  /// Whether the namespace's path leads nowhere or to another namespace. False where this cannot be known: if the
  /// directory of the namespaces is missing too, this process may be in a container that does not see it.
  fileprivate var isNamespaceGone: Bool {
    do throws(SystemError) {
      return try NetworkNamespace(namespacePath).identity != namespace
    } catch {
      guard error.errno == ENOENT, let slash = namespacePath.lastIndex(of: "/") else { return false }
      return (try? Files.identity(String(namespacePath[...slash])))?.isDirectory ?? false
    }
  }
}
