internal import Addresses
internal import Netfilter
internal import Netlink

/// The changes of foreign chains that make them accept the pods' packets (`--forward-insert`), or that remove our rules
/// from them.
///
/// An accept is inserted as late as possible: before the rule that drops, or at the end if the policy drops. So the
/// chain's other rules, such as those of a network policy, still decide first.
struct AcceptPlan {
  /// The comment that marks our rules.
  static let comment = "causeway-hostgw"

  /// Places where chains would drop the pods' packets without our rules.
  let drops: [ForwardDrop]
  /// The transaction that carries the plan out; empty if nothing is to change.
  let requests: [NetlinkRequest]
  /// The changes, for the log.
  let changes: [RuleChange]

  /// Compares the chains with what they should be.
  ///
  /// - Parameters:
  ///   - networks: the cluster's networks.
  ///   - inserts: whether our accepts should be there.
  ///   - going: foreign rules that are about to be removed, and are ignored for that reason.
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
    // A table of one family has no packets of the other, and `iptables` cannot show a rule that matches the family.
    let family = drop.chain.table.family == .inet ? RuleExpression.family(drop.network.family) : []
    return [RuleExpression.source(isIn: drop.network), RuleExpression.destination(isIn: drop.network)].map {
      .addRule(family + $0 + [.counter, .accept], to: drop.chain, before: drop.rule, comment: comment)
    }
  }

  /// One of our accepts: its chain and match, without its position and counter.
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
