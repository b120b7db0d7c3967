internal import Addresses
internal import Attachments
internal import CNI
internal import Glibc
internal import IPAM
internal import Linux
internal import Netfilter
internal import Netlink
internal import NodeState
internal import PodRules

/// Changes of an ADD so far, which are taken back in reverse order if it fails.
struct Undo {
  enum Change {
    case lease(LeaseDirectory, LeaseOwner)
    case record(Attachment)
    /// A bridge that this ADD made.
    case bridge(String)
    /// The VLAN filter of a bridge, which this ADD switched on.
    case vlanFilter(Bridge)
    /// The node's port in a VLAN, which this ADD made.
    case gatewayPort(GatewayPort)
    /// An address that this ADD put on a link that was there; it stays if a pod needs it by now.
    case gateway(IPPrefix, GatewayLinkSpec)
    /// An address that `forceAddress` took off a bridge.
    case forcedAway(IPPrefix, bridgeIndex: Int32)
    case vethPair(Attachment)
    case delegate(IPAMDelegate, searchPath: [String])
    case rules(RuledPod)
    case fastPath([IPAddress], MACAddress)
    /// Answers on a bridge for a routed pod, whose routes the kernel removes with the link.
    case answers([IPAddress])

    /// Whether other attachments may have begun to use it.
    var isShared: Bool {
      switch self {
      case .bridge, .vlanFilter, .gatewayPort, .gateway, .forcedAway: true
      default: false
      }
    }
  }

  fileprivate var changes: [Change] = []

  mutating func push(_ change: Change) {
    changes.append(change)
  }
}

extension HostNetwork {
  /// Undoes all changes. A change that cannot be undone is reported on standard error, and the rest is undone.
  ///
  /// Bridge and gateways come last: leases and ports that remain show whether a pod needs them.
  mutating func unwind() {
    let changes = undo.changes.reversed()
    for change in changes.filter({ !$0.isShared }) + changes.filter({ $0.isShared }) {
      do throws(PodNetworkError) {
        try takeBack(change)
      } catch {
        StandardError.write("after a failed ADD: \(error)")
      }
    }
  }

  private mutating func takeBack(_ change: Undo.Change) throws(PodNetworkError) {
    switch change {
    case .lease(let leases, let owner): _ = try fromIPAM(leases.release(owner))
    case .record(let attachment): try fromSystem(state.records.remove(attachment.key))
    case .gateway(let gateway, let link):
      try removeGateways(on: link, state, &socket) { $0.prefix == gateway }
    case .forcedAway(let address, let bridgeIndex):
      try fromNetlink(socket.perform(.addAddress(address, to: bridgeIndex), accepting: EEXIST))
    case .delegate(let delegate, let searchPath): try delegate.call(.delete, searchPath)
    case .rules(let pod):
      var netfilter = try fromNetlink(NetfilterSocket())
      try removeRules(of: pod, &netfilter)
    case .fastPath(let addresses, let mac): leaveFastPath(addresses, mac)
    case .answers(let addresses): socket.stopAnswering(for: addresses)
    case .vethPair(let attachment): _ = try VethPair.remove(attachment, &socket)
    case .bridge(let name): try removeUnusedBridge(name)
    case .vlanFilter(let bridge): try bridge.removeVLANFilter(state, &socket)
    case .gatewayPort(let port): try port.removeUnused(state, &socket)
    }
  }

  /// Removes a new bridge, unless another ADD has begun to use it.
  private mutating func removeUnusedBridge(_ name: String) throws(PodNetworkError) {
    guard let claim = try? state.claimBridge(), let bridge = try fromNetlink(socket.link(named: name)) else { return }
    if try !fromNetlink(socket.links()).contains(where: { $0.masterIndex == bridge.index }) {
      try fromNetlink(socket.perform(.removeLink(bridge.index, name: name), accepting: ENODEV))
    }
    _ = consume claim
  }
}
