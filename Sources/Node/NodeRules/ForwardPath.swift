internal import Addresses
internal import Netfilter
internal import Netlink
internal import Parts

/// The foreign chains that every forwarded packet passes.
///
/// Each of them may drop the packet, whatever other chains decide: an accept in our own table does not help. So this
/// predicts what they do to the pods' packets from the chains' policies, and from rules that match addresses or
/// everything. Rules that match anything else are ignored.
struct ForwardPath {
  /// The base chains at the hook `forward`, without our own.
  let chains: [ForwardChain]
  /// The rules of these chains, and of the chains that they jump to unconditionally.
  private let rules: [ChainName: [FilterRule]]
  /// NFT_JUMP_STACK_SIZE (include/net/netfilter/nf_tables.h): the kernel does not jump deeper.
  private static let deepestJump = 16

  /// Reads the chains and their rules from the kernel.
  init(_ netfilter: inout NetfilterSocket) throws(RulesError) {
    var rules: [ChainName: [FilterRule]] = [:]
    chains = try netfilter.asking { (socket) throws(NetlinkError) in try socket.forwardChains() }
      .filter { $0.name.table != NodeTable.name }
    var pending = chains.map(\.name)
    while let chain = pending.popLast() {
      if rules[chain] != nil { continue }
      let found = try netfilter.asking { (socket) throws(NetlinkError) in try socket.filterRules(of: chain) }
      rules[chain] = found
      for rule in found where rule.match == .everything {
        switch rule.verdict {
        case .jump(let name), .goto(let name): pending.append(ChainName(name, in: chain.table))
        case .accept, .drop, .return, .none: break
        }
      }
    }
    self.rules = rules
  }

  /// The rules with this comment, in the order of their chains' names.
  func rules(commented comment: String) -> [FilterRule] {
    rules.sorted { "\($0.key)" < "\($1.key)" }.flatMap { $0.value.filter { $0.rule.comment == comment } }
  }

  /// Chains that drop packets from or to the pods of these networks, as far as can be predicted.
  ///
  /// - Parameter ignored: whether to take a rule as absent.
  func drops(of networks: [IPPrefix], ignoring ignored: (NetfilterRule) -> Bool = { _ in false }) -> [ForwardDrop] {
    chains.flatMap { chain in networks.compactMap { drop(of: $0, in: chain, ignored) } }
  }

  private func drop(
    of network: IPPrefix, in chain: ForwardChain, _ ignored: (NetfilterRule) -> Bool
  ) -> ForwardDrop? {
    guard chain.name.table.family.sees(network.family) else { return nil }
    var walk = Walk(network: network, rules: rules)
    switch walk.follow(chain.name, ignored) {
    case .accepted: return nil
    case .dropped(let rule):
      return ForwardDrop(chain: rule.chain, rule: rule.handle, isPolicy: false, network: network)
    case .left(let place, let rule):
      return chain.dropsTheRest ? ForwardDrop(chain: place, rule: rule, isPolicy: true, network: network) : nil
    }
  }

  /// The walk of two packets through the rules at once: one from the network and one to it.
  private struct Walk {
    let network: IPPrefix
    let rules: [ChainName: [FilterRule]]
    var acceptsFrom = false
    var acceptsTo = false
    var depth = 0

    enum End {
      case accepted
      case dropped(NetfilterRule)
      /// The packet returns to the calling chain, or to the policy; at the chain's end, or by the rule of this handle.
      case left(ChainName, before: UInt64?)
    }

    mutating func follow(_ chain: ChainName, _ ignored: (NetfilterRule) -> Bool) -> End {
      guard depth < ForwardPath.deepestJump else { return .left(chain, before: nil) }
      depth += 1
      defer { depth -= 1 }
      for rule in rules[chain] ?? []
      where !ignored(rule.rule) && (rule.family == nil || rule.family == network.family) {
        switch (rule.match, rule.verdict) {
        case (.everything, .accept): return .accepted
        case (.everything, .drop): return .dropped(rule.rule)
        case (.everything, .jump(let name)):
          let end = follow(ChainName(name, in: chain.table), ignored)
          if case .left = end { break }
          return end
        case (.everything, .goto(let name)): return follow(ChainName(name, in: chain.table), ignored)
        case (.everything, .return): return .left(chain, before: rule.rule.handle)
        case (.source(let prefix), .accept) where prefix.contains(network): acceptsFrom = true
        case (.destination(let prefix), .accept) where prefix.contains(network): acceptsTo = true
        default: break
        }
        if acceptsFrom && acceptsTo { return .accepted }
      }
      return .left(chain, before: nil)
    }
  }
}

/// Place in a chain that drops packets from or to pods.
struct ForwardDrop: Equatable {
  /// The chain whose rule drops; or, if the policy drops, the last chain before it.
  let chain: ChainName
  /// The handle of the rule before which an accept must be inserted; `nil` for the end of the chain.
  let rule: UInt64?
  /// Whether the base chain's policy drops, rather than a rule.
  let isPolicy: Bool
  /// The network of the pods.
  let network: IPPrefix

  /// Returns a finding for each chain that drops pods' packets.
  static func findings(_ drops: [ForwardDrop]) -> [Finding] {
    Dictionary(grouping: drops, by: \.chain).sorted { "\($0.key)" < "\($1.key)" }.map { chain, drops in
      let networks = drops.map { "\($0.network)" }.joined(separator: " and ")
      let culprit = drops.allSatisfy(\.isPolicy) ? "the policy behind" : "a rule of"
      return .forwardDrop(
        "\(culprit) the chain \(chain) drops what is forwarded for the pods of \(networks): give --forward-insert, or accept \(networks) "
          + "there as source and as destination; if they do pass, --forward-rules=false turns this look off")
    }
  }
}

extension TableName.Family {
  /// Whether tables of this family see packets of the IP family.
  fileprivate func sees(_ family: IPFamily) -> Bool {
    switch self {
    case .ip: family == .v4
    case .ip6: family == .v6
    case .inet: true
    case .bridge: false
    }
  }
}
