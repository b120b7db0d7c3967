internal import Addresses
internal import Glibc
internal import IPAM
internal import Linux
internal import Netlink

/// What ADD has changed so far, to be taken back in reverse where it fails.
struct Undo {
  enum Change {
    case lease(LeaseDirectory, LeaseOwner)
    case record(RecordDirectory, Attachment)
    case bridge(Bridge, StateDirectory)
    case cable(Attachment)
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
        case .rules(let attachment, let addresses): try attachment.removeRules(of: addresses)
        case .cable(let attachment): _ = try Cable.remove(attachment, &host)
        case .bridge(let bridge, let state): try Undo.remove(bridge, state, &host)
        }
      } catch {
        StandardError.write("after a failed ADD: \(error)")
      }
    }
  }

  /// A new bridge goes again unless another ADD has begun to use it.
  private static func remove(_ bridge: Bridge, _ state: StateDirectory, _ host: inout RouteSocket) throws {
    guard bridge.isNew, let lock = try? state.claimBridge() else { return }
    guard try !host.links().contains(where: { $0.masterIndex == bridge.link.index }) else { return }
    try host.perform(.removeLink(bridge.link.index, name: bridge.link.name), accepting: ENODEV)
    _ = consume lock
  }
}
