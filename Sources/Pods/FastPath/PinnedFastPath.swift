package import Addresses
package import Linux
package import Netlink

/// The fast path's programs and maps on this node, pinned in the BPF file system. The helper pins them and fills
/// `peers`; plugin and helper attach programs to pods' links and fill `pods`.
///
/// Pinned objects outlive both processes: the fast path continues while no helper runs.
package struct PinnedFastPath: ~Copyable, Sendable {
  private let pods: BPFMap
  private let peers: BPFMap
  private let fromPod: BPFProgram
  private let toPod: BPFProgram

  /// Mount point of the BPF file system.
  package static let fileSystem = "/sys/fs/bpf"
  /// Directory of our pinned objects.
  package static let directory = "\(fileSystem)/causeway"

  /// Path of a pinned map or program.
  package static func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Opens the pinned objects; `nil` if this node has no fast path.
  ///
  /// - Throws: `SystemError` if a pinned object cannot be opened, or is not what its name says.
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

  /// The pinned maps, with the sizes of their keys and values in bytes (Sources/Node/CFastPath/programs/layout.h).
  private static let layouts: [(name: String, keySize: Int, valueSize: Int)] = [
    ("pods", FastPathPod.keySize, FastPathPod.size), ("peers", FastPathPeer.keySize, FastPathPeer.size),
    ("counts", 4, FastPathCount.size), ("flows", 40, 16),
  ]

  /// Whether every program and map is pinned, and each is what its name says.
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

  /// Attaches the programs to a pod's link and adds those of its addresses that lie in this node's subnets.
  ///
  /// Does nothing if the link has an `ingress` qdisc, because that limits the pod's bandwidth; nor if the fast path was
  /// removed or replaced since it was opened here.
  package func add(_ pod: FastPathPod, _ addresses: [IPAddress], _ socket: inout RouteSocket) throws(NetlinkError) {
    var known: [IPAddress] = []
    do throws(SystemError) {
      for address in addresses where try isOwn(address) { known.append(address) }
    } catch {
      throw .socket(error)
    }
    guard !known.isEmpty, try attach(to: pod.link, &socket) else { return }
    // The helper unpins the programs before it lists the attached ones. So it finds these, or the pin is missing here.
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

  /// Whether the programs opened here are still the pinned ones. The maps of others are no longer kept up to date.
  private func isPinned() throws(SystemError) -> Bool {
    guard let present = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.fromPod.rawValue)) else {
      return false
    }
    return try present.id() == fromPod.id()
  }

  /// Whether the address lies in a subnet of this node, so that other nodes send its packets here.
  package func isOwn(_ address: IPAddress) throws(SystemError) -> Bool {
    // A lookup in this map finds the longest prefix that contains the address (BPF_MAP_TYPE_LPM_TRIE).
    try peers.value(of: FastPathPeer.key(IPPrefix(host: address))).map { FastPathPeer(value: $0) == .thisNode } ?? false
  }

  /// Attaches the programs to the host's end of a pod's veth pair.
  ///
  /// - Returns: false if the link has an `ingress` qdisc, which leaves no room for `clsact`.
  package func attach(to link: Int32, _ socket: inout RouteSocket) throws(NetlinkError) -> Bool {
    guard try socket.ensureFilterHooks(of: link) else { return false }
    try socket.perform(.setFilter(FastPathProgram.fromPod.rawValue, fromPod, at: .ingress, of: link))
    try socket.perform(.setFilter(FastPathProgram.toPod.rawValue, toPod, at: .egress, of: link))
    return true
  }

  /// Removes a pod's addresses from the map. An entry that another pod has by now is kept.
  ///
  /// - Parameter mac: the MAC address of the pod; `nil` removes the entries whatever their MAC address.
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

/// The fast path's programs, by their names in the kernel.
package enum FastPathProgram: String, Sendable, CaseIterable {
  /// Carries packets that a pod sends; attached at the ingress of the host's end of its veth pair.
  case fromPod = "from_pod"
  /// Records which flows leave the ordinary path for a pod; attached at the egress of that link.
  case toPod = "to_pod"
  /// Carries packets that come from other nodes; attached at the ingress of the node's interface.
  case fromNode = "from_node"
  /// Records which flows leave the ordinary path for other nodes; attached at the egress of that interface.
  case toNode = "to_node"
}
