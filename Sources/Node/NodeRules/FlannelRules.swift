internal import Netfilter
internal import Netlink

/// Rules of flannel that remain in nf_tables after it: chains made by `iptables` with the rules that jump to them, or
/// tables of its own.
struct FlannelRules {
  /// A chain or table of flannel's, which is removed as a whole.
  struct Piece {
    /// The chain or table as `nft` names it.
    let name: String
    /// Whether it masquerades. Without masquerade pods get no answers from outside of the cluster.
    let masquerades: Bool
    /// The rules in other chains that jump to it.
    let jumps: [NetfilterRule]
    /// The transaction that removes it, with the rules that jump to it.
    let removal: [NetlinkRequest]
  }

  /// All pieces that the kernel has.
  let pieces: [Piece]

  /// Reads flannel's chains and tables from the kernel.
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

  /// The rules that are removed together with the pieces.
  var jumps: [NetfilterRule] { pieces.flatMap(\.jumps) }
}
