internal import Netfilter
internal import Netlink

/// What flannel leaves in nf_tables when it goes: chains of the program `iptables` with the rules that lead to them, or
/// tables of its own.
struct FlannelRules {
  /// Something that is removed as a whole.
  struct Piece {
    /// In the words of `nft`.
    let name: String
    /// Whether pods get no answers from outside without it, unless somebody else masquerades.
    let masquerades: Bool
    /// The rules of others' chains that lead to it.
    let jumps: [NetfilterRule]
    let removal: [NetlinkRequest]
  }

  let pieces: [Piece]

  init(_ netfilter: inout NetfilterSocket) throws(RulesError) {
    pieces = try netfilter.asking { (socket) throws(NetlinkError) in
      var pieces: [Piece] = []
      for family in [TableName.Family.ip, .ip6] {
        for (table, base, name) in [
          ("nat", "POSTROUTING", "FLANNEL-POSTRTG"), ("filter", "FORWARD", "FLANNEL-FWD"),
        ] {
          let chain = ChainName(name, in: TableName(family, table))
          guard try socket.contains([chain]) == [true] else { continue }
          let jumps = try socket.rules(of: ChainName(base, in: chain.table)).filter { $0.target == name }
          pieces.append(
            Piece(
              name: "chain \(chain)", masquerades: table == "nat", jumps: jumps,
              removal: jumps.map { .removeRule($0) } + [.flushChain(chain), .removeChain(chain)]))
        }
        let table = TableName(family, family == .ip ? "flannel-ipv4" : "flannel-ipv6")
        if try socket.contains(table) {
          pieces.append(Piece(name: "table \(table)", masquerades: true, jumps: [], removal: [.removeTable(table)]))
        }
      }
      return pieces
    }
  }

  /// The rules that go with the pieces.
  var jumps: [NetfilterRule] { pieces.flatMap(\.jumps) }
}
