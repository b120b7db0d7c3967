internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState

/// What ADD has changed so far, to be taken back in reverse where it fails.
struct Undo {
  enum Change {
    case lease(LeaseDirectory, LeaseOwner)
    case record(RecordDirectory, Attachment)
    /// A bridge that this ADD made.
    case bridge(String, StateDirectory)
    /// The VLAN filter of a bridge, which this ADD switched on.
    case vlanFilter(Bridge, StateDirectory)
    /// The node's port in a VLAN, which this ADD made.
    case gatewayPort(GatewayPort, StateDirectory)
    /// An address that this ADD put on a bridge that was there; it stays where a pod needs it by now.
    case gateway(IPPrefix, Traces, StateDirectory)
    /// An address that `forceAddress` took off a bridge.
    case forcedAway(IPPrefix, bridgeIndex: Int32)
    case cable(Attachment)
    case delegate(IPAMDelegate, searchPath: [String])
    case rules(Attachment, [IPAddress], Cable)
    case fastPath([IPAddress], Cable)
    /// Answers on a bridge for a routed pod; its routes go with the cable.
    case answers([IPAddress])

    /// What other attachments may have begun to use.
    var isShared: Bool {
      switch self {
      case .bridge, .vlanFilter, .gatewayPort, .gateway, .forcedAway: true
      default: false
      }
    }
  }

  private var changes: [Change] = []

  mutating func push(_ change: Change) {
    changes.append(change)
  }

  /// Takes all changes back; what cannot be taken back is told on standard error, and the rest goes on.
  ///
  /// The bridge and the gateways come last: whether a pod needs them is told by the leases and ports that remain.
  func unwind(_ host: inout RouteSocket) {
    let changes = changes.reversed()
    for change in changes.filter({ !$0.isShared }) + changes.filter(\.isShared) {
      do {
        switch change {
        case .lease(let leases, let owner): _ = try leases.release(owner)
        case .record(let records, let attachment): try records.remove(attachment.key)
        case .gateway(let gateway, let traces, let state):
          try removeGateways(traces, state, &host) { $0.prefix == gateway }
        case .forcedAway(let address, let bridgeIndex):
          try host.perform(.addAddress(address, to: bridgeIndex), accepting: EEXIST)
        case .delegate(let delegate, let searchPath): try delegate.call(.delete, searchPath)
        case .rules(let attachment, let addresses, let cable):
          var netfilter = try NetfilterSocket()
          try attachment.removeRules(of: addresses, port: cable.hostName, mac: cable.podMAC, &netfilter)
        case .fastPath(let addresses, let cable): leaveFastPath(addresses, cable.podMAC)
        case .answers(let addresses): host.stopAnswering(for: addresses)
        case .cable(let attachment): _ = try Cable.remove(attachment, &host)
        case .bridge(let name, let state): try Undo.removeBridge(name, state, &host)
        case .vlanFilter(let bridge, let state): try bridge.removeVLANFilter(state, &host)
        case .gatewayPort(let port, let state): try port.removeUnused(state, &host)
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
