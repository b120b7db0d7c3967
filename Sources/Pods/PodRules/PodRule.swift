internal import Addresses
package import Attachments
internal import Glibc
package import Netfilter
package import Netlink

/// One kind of nf_tables rule for single pods: a table of the plugin's own, and what one pod has in its sets.
///
/// The rules of the table look packets up in the sets, so that a pod costs a few elements, whatever is there besides. Each
/// element carries its owner as a comment: DEL never removes what an address's or a link's next owner has put there. The
/// table is made on first use, by one transaction. To add a kind of rule, describe it in a file and put it into `all`.
package struct PodRule: Sendable {
  let table: TableName
  /// Set of the links whose pods have the rule; `nil` for a rule that no link stands for.
  let links: SetName?
  /// Sets and maps with all other elements of pods. Where there are `links`, each key begins with the link's name.
  let sets: [SetName]
  /// Chains of the table that see packets by themselves.
  let baseChains: [ChainName]
  /// Requests that make the table with its sets, chains and rules.
  let newTable: @Sendable () -> [NetlinkRequest]
  /// Elements of a pod besides its link's, as far as the pod's addresses and MAC are known.
  let elements: @Sendable (RuledPod) -> [PodElement]
  /// Requests for the chain that a pod shares with others of its network; `nil` for a rule without such chains. Its name
  /// says what is in it, so that it never needs a change.
  let networkChain: (@Sendable (RuledPod) -> [NetlinkRequest])?
  /// Whether a pod has the rule, by its record.
  private let isMade: @Sendable (AttachmentRecord) -> Bool
  /// Whether each address of a pod has a rule of its own.
  let isPerAddress: Bool
  /// Words for CHECK: what the rule does to a pod of one address.
  package let effect: @Sendable (RuledPod) -> String

  init(
    table: TableName, links: SetName? = nil, sets: [SetName], baseChains: [ChainName], isPerAddress: Bool,
    isMade: @escaping @Sendable (AttachmentRecord) -> Bool,
    effect: @escaping @Sendable (RuledPod) -> String,
    elements: @escaping @Sendable (RuledPod) -> [PodElement],
    networkChain: (@Sendable (RuledPod) -> [NetlinkRequest])? = nil,
    newTable: @escaping @Sendable () -> [NetlinkRequest]
  ) {
    self.table = table
    self.links = links
    self.sets = sets
    self.baseChains = baseChains
    self.newTable = newTable
    self.elements = elements
    self.networkChain = networkChain
    self.isMade = isMade
    self.isPerAddress = isPerAddress
    self.effect = effect
  }

  /// Every kind of per-pod rule.
  package static let all: [PodRule] = [.spoofGuard, .sourceGuard, .masquerade]

  /// The rules that ADD makes for a pod with this record.
  package static func rules(of record: AttachmentRecord) -> [PodRule] { all.filter { $0.isMade(record) } }
}

/// An element of a set or map that belongs to one pod.
struct PodElement {
  let key: [UInt8]
  let set: SetName
  /// The chain that a map leads to.
  var jump: ChainName?
}

extension PodRule {
  /// Makes the pod's elements, all at once or none. What a former owner of its addresses or link left is replaced.
  package func add(_ pod: RuledPod, _ netfilter: inout NetfilterSocket) throws(NetlinkError) {
    let elements = ([linkElement(pod)] + elements(pod)).compactMap { $0 }.map { element in
      NetlinkRequest.addElement(element.key, to: element.set, jump: element.jump, comment: pod.owner)
    }
    // Each obstacle is cleared once; another ADD may be clearing the same.
    var stale: [NetlinkRequest] = []
    for _ in 0..<3 {
      do throws(NetlinkError) {
        try netfilter.commit(stale + elements)
        return
      } catch {
        switch error.errno {
        case ENOENT:
          stale = []
          try netfilter.commit(newTable(), accepting: EEXIST)
          if let networkChain { try netfilter.commit(networkChain(pod), accepting: EEXIST) }
        case EEXIST: stale = try removals(of: pod, owner: nil, &netfilter)
        default: throw error
        }
      }
    }
    try netfilter.commit(stale + elements)
  }

  /// Removes the pod's elements as far as they are still the owner's; absence is success.
  package func remove(_ pod: RuledPod, _ netfilter: inout NetfilterSocket) throws(NetlinkError) {
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      try removals(of: pod, owner: pod.owner, &netfilter)
    }
  }

  /// The first of a pod's parts that has no such rule, or one of another owner: an address, or the pod as a whole.
  package func firstMissing(
    _ pod: RuledPod, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) -> RuledPod? {
    for part in isPerAddress ? pod.addresses.map({ pod.with(address: $0) }) : [pod] {
      for case let element? in [linkElement(part)] + elements(part) {
        guard try netfilter.comment(of: element.key, in: element.set) == pod.owner else { return part }
      }
    }
    return nil
  }

  /// Removes every element of the network's attachments whose owner is not among the `valid` keys, and chains that
  /// nothing leads to: a lease that changes leaves one behind.
  package func collect(
    network: String, keeping valid: Set<String>, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) {
    let prefix = Attachment.keyPrefix(network: network)
    let sets = (links.map { [$0] } ?? []) + sets
    try netfilter.removeAll { netfilter throws(NetlinkError) in
      var removals: [NetlinkRequest] = []
      for set in sets {
        for element in try netfilter.elements(of: set)
        where element.comment.hasPrefix(prefix) && !valid.contains(element.comment) {
          removals.append(.removeElement(element.key, from: set))
        }
      }
      return removals
    }
    guard networkChain != nil else { return }
    for chain in try netfilter.chains(of: table) where !baseChains.contains(chain) {
      // EBUSY: it is in use. An ADD that has just made it makes it again.
      try netfilter.commit([.removeChain(chain)], accepting: EBUSY, ENOENT)
    }
  }

  /// Removes the table with all rules of all pods; absence is success.
  package func removeTable(_ netfilter: inout NetfilterSocket) throws(NetlinkError) {
    try netfilter.commit([.removeTable(table)], accepting: ENOENT)
  }

  /// Element that stands for the pod's link, without which the others have no effect.
  private func linkElement(_ pod: RuledPod) -> PodElement? {
    links.map { PodElement(key: SetKey.bytes(ofLink: pod.link), set: $0) }
  }

  /// Requests that remove the pod's elements of this owner or, with `nil`, those of any owner on its addresses or link.
  private func removals(
    of pod: RuledPod, owner: String?, _ netfilter: inout NetfilterSocket
  ) throws(NetlinkError) -> [NetlinkRequest] {
    func isWanted(_ comment: String?) -> Bool { comment != nil && (owner == nil || comment == owner) }
    var removals: [NetlinkRequest] = []
    let elements = elements(pod)
    for element in elements where isWanted(try netfilter.comment(of: element.key, in: element.set)) {
      removals.append(.removeElement(element.key, from: element.set))
    }
    guard let link = linkElement(pod) else { return removals }
    let hasLink = isWanted(try netfilter.comment(of: link.key, in: link.set))
    // Most links are in no guard, and a list of all elements is long. A verb that was killed may have left elements
    // without their link's; an ADD that finds them in its way lists them.
    guard hasLink || owner == nil else { return removals }
    // A former owner's addresses and MAC are not known, nor are this one's by every record.
    if owner == nil || elements.isEmpty || removals.count < elements.count {
      removals = []
      for set in sets {
        for element in try netfilter.elements(of: set)
        where element.key.starts(with: link.key) && isWanted(element.comment) {
          removals.append(.removeElement(element.key, from: set))
        }
      }
    }
    return (hasLink ? [.removeElement(link.key, from: link.set)] : []) + removals
  }
}

extension RuledPod {
  fileprivate func with(address: IPAddress) -> RuledPod {
    var pod = self
    pod.addresses = [address]
    return pod
  }
}
