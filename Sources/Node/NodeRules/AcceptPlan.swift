internal import Addresses
internal import Netfilter
internal import Netlink

/// What must change in chains of others so that they accept the pods' packets (`--forward-insert`), or so that nothing
/// of ours is left in them.
///
/// An accept stands no further up than it must: before the rule that drops, or, where the policy does, at the end. So
/// whatever else is decided in the chain, such as what a network policy forbids, still is.
struct AcceptPlan {
  /// By which our rules are known again.
  static let comment = "causeway-hostgw"

  /// What is dropped where nothing of ours is.
  let drops: [ForwardDrop]
  let requests: [NetlinkRequest]
  let changes: [RuleChange]

  /// - Parameter going: rules of others that are about to be removed, and so help nobody.
  init(_ path: ForwardPath, networks: [IPPrefix], inserts: Bool, going: [NetfilterRule]) {
    let present = path.rules(commented: AcceptPlan.comment)
    drops = path.drops(of: networks) { $0.comment == AcceptPlan.comment || going.contains($0) }
    let wanted = inserts ? drops : []
    let isInPlace =
      Set(present.map(Accept.init)) == Set(wanted.flatMap(Accept.both)) && present.count == 2 * wanted.count
      && (wanted.isEmpty || path.drops(of: networks) { going.contains($0) }.isEmpty)
    guard !isInPlace else {
      requests = []
      changes = []
      return
    }
    requests = present.map { .removeRule($0.rule) } + wanted.flatMap(AcceptPlan.insertion)
    let verb = wanted.isEmpty ? RuleChange.Verb.acceptRemoved : .acceptInserted
    let chains = wanted.isEmpty ? present.map(\.rule.chain) : wanted.map(\.chain)
    changes = Set(chains.map(\.description)).sorted().map { RuleChange(verb: verb, subject: $0) }
  }

  private static func insertion(_ drop: ForwardDrop) -> [NetlinkRequest] {
    // A table of one family sees no other, and the program `iptables` would not understand the question.
    let family = drop.chain.table.family == .inet ? RuleExpression.family(drop.network.family) : []
    return [RuleExpression.source(isIn: drop.network), RuleExpression.destination(isIn: drop.network)].map {
      .addRule(family + $0 + [.counter, .accept], to: drop.chain, before: drop.rule, comment: comment)
    }
  }

  /// An accept of ours, as far as it matters which it is.
  private struct Accept: Hashable {
    let chain: ChainName
    let match: FilterRule.Match

    init(_ rule: FilterRule) {
      chain = rule.rule.chain
      match = rule.match
    }

    private init(chain: ChainName, match: FilterRule.Match) {
      self.chain = chain
      self.match = match
    }

    static func both(_ drop: ForwardDrop) -> [Accept] {
      [.source(drop.network), .destination(drop.network)].map { Accept(chain: drop.chain, match: $0) }
    }
  }
}
