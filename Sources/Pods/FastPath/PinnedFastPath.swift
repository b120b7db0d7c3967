package import Addresses
package import Linux
package import Netlink

/// What this node has of the fast path: programs and maps, pinned in the kernel's file system for them. The helper puts
/// them there and fills in the peers; the plugin gives each pod its place.
///
/// They outlive both; without the helper all that is there goes on.
package struct PinnedFastPath: ~Copyable, Sendable {
  private let pods: BPFMap
  private let peers: BPFMap
  private let fromPod: BPFProgram
  private let toPod: BPFProgram

  /// Where the kernel's file system for BPF objects is.
  package static let fileSystem = "/sys/fs/bpf"
  /// Where ours are pinned.
  package static let directory = "\(fileSystem)/causeway"

  /// The place of a map or program.
  package static func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// `nil` where this node has none.
  package init?() throws(SystemError) {
    guard let fromPod = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.fromPod.rawValue)),
      let toPod = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.toPod.rawValue)),
      let pods = try FastPathPod.map(), let peers = try FastPathPeer.map()
    else { return nil }
    self.fromPod = fromPod
    self.toPod = toPod
    self.pods = pods
    self.peers = peers
  }

  /// The maps that are pinned, with the sizes of their keys and values in bytes (Sources/Node/CFastPath/programs/layout.h).
  private static let layouts: [(name: String, keySize: Int, valueSize: Int)] = [
    ("pods", 16, FastPathPod.size), ("peers", 20, FastPathPeer.size),
    ("counts", 4, FastPathCount.size), ("flows", 40, 16),
  ]

  /// Whether nothing that belongs to it is missing, or is something else.
  package static func isWhole() -> Bool {
    do throws(SystemError) {
      for program in FastPathProgram.allCases where try BPFProgram(pinned: path(program.rawValue)) == nil {
        return false
      }
      for map in layouts
      where try BPFMap(pinned: path(map.name), keySize: map.keySize, valueSize: map.valueSize) == nil {
        return false
      }
      return true
    } catch {
      return false
    }
  }

  /// Lets a pod's packets in and out by the fast path, those of addresses that other nodes know as this node's.
  ///
  /// Where the hooks are taken by an `ingress` qdisc somebody limits the pod, and nothing is done; nor where the node has had
  /// no fast path any more, or another one, since this one was opened.
  package func add(_ pod: FastPathPod, _ addresses: [IPAddress], _ socket: inout RouteSocket) throws(NetlinkError) {
    var known: [IPAddress] = []
    do throws(SystemError) {
      for address in addresses where try isOwn(address) { known.append(address) }
    } catch {
      throw .socket(error)
    }
    guard !known.isEmpty, try attach(to: pod.link, &socket) else { return }
    // Whoever ends it unpins the programs before it looks for attached ones: either it finds these, or the pin is gone here.
    let isPinned: Bool
    do throws(SystemError) { isPinned = try self.isPinned() } catch { throw .socket(error) }
    guard isPinned else {
      try socket.removeOurFilters(from: pod.link)
      return
    }
    do throws(SystemError) {
      for address in known { try pods.set(FastPathPod.key(address), to: pod.value) }
    } catch {
      throw .socket(error)
    }
  }

  /// Whether it is the node's still: of another one's maps nobody here knows.
  private func isPinned() throws(SystemError) -> Bool {
    guard let present = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.fromPod.rawValue)) else {
      return false
    }
    return try present.id() == fromPod.id()
  }

  /// Whether other nodes send to the address by this one.
  package func isOwn(_ address: IPAddress) throws(SystemError) -> Bool {
    // A lookup finds the longest subnet that the address is in.
    try peers.value(of: FastPathPeer.key(IPPrefix(host: address))).map { FastPathPeer(value: $0) == .thisNode } ?? false
  }

  /// Puts the programs at the host's end of a pod's cable; false where they have no place.
  package func attach(to link: Int32, _ socket: inout RouteSocket) throws(NetlinkError) -> Bool {
    guard try socket.ensureFilterHooks(of: link) else { return false }
    for (program, hook) in [(FastPathProgram.fromPod, FilterHook.ingress), (.toPod, .egress)] {
      let request =
        program == .fromPod
        ? NetlinkRequest.setFilter(program.rawValue, fromPod, at: hook, of: link)
        : NetlinkRequest.setFilter(program.rawValue, toPod, at: hook, of: link)
      try socket.perform(request)
    }
    return true
  }

  /// Ends a pod's place. An address that has come to another pod stays that one's.
  package func remove(_ addresses: [IPAddress], of mac: MACAddress?) throws(SystemError) {
    for address in addresses {
      let key = FastPathPod.key(address)
      guard let mac else {
        try pods.remove(key)
        continue
      }
      if let value = try pods.value(of: key), FastPathPod(value: value)?.mac == mac { try pods.remove(key) }
    }
  }
}

/// The programs, by the names that they have in the kernel.
package enum FastPathProgram: String, Sendable, CaseIterable {
  /// Where a pod's packets come in: ingress of the host's end of its cable.
  case fromPod = "from_pod"
  /// Where packets leave the ordinary path for a pod: egress there.
  case toPod = "to_pod"
  /// Where other nodes' packets come in: ingress of the node's interface.
  case fromNode = "from_node"
  /// Where packets leave the ordinary path for other nodes: egress there.
  case toNode = "to_node"
}
