import Glibc
import Linux
import Netfilter
import Netlink
import Testing
import TestSupport

@Suite(.requiresRoot) struct NetfilterTests {
  private let node: TestNode
  private let table = TableName(.inet, "test")
  private let chain: ChainName

  init() throws {
    node = try TestNode()
    chain = ChainName("first", in: table)
    try node.sh(
      """
      nft -f - <<'END'
      table inet test {
        chain second {
          return
        }
        chain first {
          ip saddr 192.0.2.7 ip daddr != 198.51.100.9 jump second comment "one"
          iifname "eth0" goto second
          drop comment "three"
        }
      }
      table inet other {
        chain first {
          drop comment "not ours"
        }
      }
      table ip test {
        chain first {
          drop comment "not ours either"
        }
      }
      END
      """)
  }

  /// Opens a socket in the node's namespace, to which it belongs.
  private func withSocket<Value>(_ body: (inout NetfilterSocket) throws -> Value) throws -> Value {
    try node.namespace().run { () throws(SystemError) in
      Result {
        var netfilter = try NetfilterSocket()
        return try body(&netfilter)
      }
    }.get()
  }

  private func commit(_ requests: NetlinkRequest...) throws {
    _ = try withSocket { try $0.commit(requests) }
  }

  private func comments() throws -> [String] {
    try withSocket { try $0.rules(of: chain).map(\.comment) }
  }

  @Test func rulesAreReadWithCommentTargetAndOperands() throws {
    let rules = try withSocket { try $0.rules(of: chain) }
    #expect(rules.map(\.comment) == ["one", "", "three"])
    #expect(rules.map(\.target) == ["second", "second", nil])
    #expect(rules.map(\.chain) == [chain, chain, chain])
    // In a table of both families `ip` compares the family first.
    #expect(rules[0].operands == [[2], [192, 0, 2, 7], [198, 51, 100, 9]])
    #expect(rules[1].operands == [Array("eth0".utf8) + [UInt8](repeating: 0, count: 12)])
    #expect(rules[2].operands == [])
  }

  @Test func aRuleOfIptablesHasItsCommentInAMatch() throws {
    try node.sh(
      #"iptables-nft -t nat -N to && iptables-nft -t nat -A POSTROUTING -s 10.9.0.2 -m comment --comment 'a "b" c' -j to"#
    )
    let rules = try withSocket { try $0.rules(of: ChainName("POSTROUTING", in: TableName(.ip, "nat"))) }
    #expect(rules.map(\.comment) == [#"a "b" c"#])
    #expect(rules.map(\.target) == ["to"])
    #expect(rules.map(\.operands) == [[[10, 9, 0, 2]]])
  }

  @Test func aMissingChainHasNoRules() throws {
    let missing = [ChainName("none", in: table), ChainName("first", in: TableName(.inet, "none"))]
    #expect(try withSocket { netfilter in try missing.map { try netfilter.rules(of: $0) } } == [[], []])
  }

  @Test func manyChainsAreLookedUpTogether() throws {
    let there = ChainName("second", in: table)
    let missing = [
      ChainName("none", in: table), ChainName("first", in: TableName(.inet, "none")),
      ChainName("second", in: TableName(.ip, "test")), ChainName("first", in: TableName(.ip6, "test")),
    ]
    #expect(try withSocket { try $0.contains([]) } == [])
    #expect(try withSocket { try $0.contains(missing) } == [false, false, false, false])
    #expect(
      try withSocket { try $0.contains([there] + missing + [chain]) } == [true, false, false, false, false, true])
    let many = Array(repeating: [there, missing[0]], count: 400).flatMap { $0 }
    #expect(try withSocket { try $0.contains(many) } == Array(repeating: [true, false], count: 400).flatMap { $0 })
  }

  @Test func aRuleIsRemovedByItsHandle() throws {
    let third = try withSocket { try $0.rules(of: chain)[2] }
    try commit(.removeRule(third))
    #expect(try comments() == ["one", ""])
    #expect(refusal { try commit(.removeRule(third)) }?.errno == ENOENT)
    #expect(try node.sh("nft list ruleset").contains("not ours either"))
  }

  @Test func aChainInUseIsEBUSY() throws {
    let second = ChainName("second", in: table)
    #expect(refusal { try commit(.removeChain(second)) }?.errno == EBUSY)
    let leading = try withSocket { try $0.rules(of: chain).filter { $0.target == "second" } }
    try commit(.removeRule(leading[0]), .removeRule(leading[1]), .removeChain(second))
    #expect(try comments() == ["three"])
    #expect(try withSocket { try $0.contains([second]) } == [false])
  }

  /// Another process removes an object between the search and the transaction: the others are removed nevertheless.
  @Test func objectsRemovedMeanwhileDoNotStopARemoval() throws {
    var searches = 0
    try withSocket { netfilter in
      try netfilter.removeAll { netfilter throws(NetlinkError) in
        searches += 1
        let rules = try netfilter.rules(of: chain)
        if searches == 1 { try netfilter.commit([.removeRule(rules[1])]) }
        return rules.map { .removeRule($0) }
      }
    }
    #expect(searches == 2)
    #expect(try comments() == [])
  }

  @Test func aRemovalThatAlwaysFailsEnds() throws {
    var searches = 0
    let second = ChainName("second", in: table)
    let refused = refusal {
      try withSocket { netfilter in
        try netfilter.removeAll { _ in
          searches += 1
          return [.removeChain(second)]
        }
      }
    }
    #expect(searches == 5 && refused?.errno == EBUSY)
    #expect(refused?.text.contains("remove the chain second") == true)
  }

  @Test func thousandsAreRemovedInOrder() throws {
    let rules = (1...1500).map { "add rule inet test first ip saddr 10.1.\($0 / 250).\($0 % 250) jump second\n" }
    try node.run(["nft", "-f", "-"], input: rules.joined()).succeeded()
    let second = ChainName("second", in: table)
    try withSocket { netfilter in
      try netfilter.removeAll { netfilter throws(NetlinkError) in
        try netfilter.rules(of: chain).filter { $0.target == "second" }.map { .removeRule($0) } + [.removeChain(second)]
      }
    }
    #expect(try comments() == ["three"])
    #expect(try withSocket { try $0.contains([second]) } == [false])
  }
}
