internal import Addresses
internal import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netlink

/// What ADD has changed so far, to be taken back in reverse where it fails.
struct Undo {
  enum Change {
    case lease(LeaseDirectory, LeaseOwner)
    case record(RecordDirectory, Attachment)
    /// A bridge that this ADD made.
    case bridge(String, StateDirectory)
    case cable(Attachment)
    case delegate(IPAMDelegate, searchPath: [String])
    case rules(Attachment, [IPAddress])
  }

  private var changes: [Change] = []

  mutating func push(_ change: Change) {
    changes.append(change)
  }

  /// Takes all changes back; what cannot be taken back is told on standard error, and the rest goes on.
  func unwind(_ host: inout RouteSocket) {
    for change in changes.reversed() {
      do {
        switch change {
        case .lease(let leases, let owner): _ = try leases.release(owner)
        case .record(let records, let attachment): try records.remove(attachment.key)
        case .delegate(let delegate, let searchPath): try delegate.call(.delete, searchPath)
        case .rules(let attachment, let addresses): try attachment.removeRules(of: addresses)
        case .cable(let attachment): _ = try Cable.remove(attachment, &host)
        case .bridge(let name, let state): try Undo.removeBridge(name, state, &host)
        }
      } catch {
        StandardError.write("after a failed ADD: \(error)")
      }
    }
  }

  /// A new bridge goes again unless another ADD has begun to use it.
  private static func removeBridge(_ name: String, _ state: StateDirectory, _ host: inout RouteSocket) throws {
    guard let claim = try? state.claimBridge(), let bridge = try host.link(named: name) else { return }
    if try !host.links().contains(where: { $0.masterIndex == bridge.index }) {
      try host.perform(.removeLink(bridge.index, name: name), accepting: ENODEV)
    }
    _ = consume claim
  }
}
