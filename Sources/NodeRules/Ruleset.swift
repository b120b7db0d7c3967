package import Addresses

/// The helper's table `inet causeway` as it must be.
///
/// Who sees which address, with masquerade:
///
/// | from, to | the receiver sees |
/// |---|---|
/// | pod, pod of any node | the pod |
/// | pod, a node's own address | the pod |
/// | pod, anything else but a multicast group | the pod's node |
/// | node, pod | the node |
/// | outside, pod | the client |
///
/// The last two need no rule: only what comes from the cluster's networks is changed. A node's own address is the one
/// by which other nodes reach it; further addresses that it may have are not known here and count as outside.
package struct Ruleset: Sendable, Equatable {
  /// The cluster's networks, which pods live in.
  package var networks: [IPPrefix]
  /// The nodes' own addresses.
  package var nodes: [IPAddress]
  package var masquerade: MasqueradePorts?
  package var forwards: Bool

  package init(networks: [IPPrefix], nodes: [IPAddress], masquerade: MasqueradePorts?, forwards: Bool) {
    self.networks = networks
    self.nodes = nodes
    self.masquerade = masquerade
    self.forwards = forwards
  }

  /// Whether the node needs no table at all.
  package var isEmpty: Bool { networks.isEmpty || masquerade == nil && !forwards }

  /// What `nft -f` takes: the table that is there goes and this one comes in one transaction.
  package var text: String {
    """
    table inet causeway
    delete table inet causeway
    table inet causeway {
    \(masquerade.map(masqueradeText) ?? "")\(forwards ? forwardText : "")}

    """
  }

  private func masqueradeText(_ ports: MasqueradePorts) -> String {
    let statement = ports == .none ? "masquerade" : "masquerade \(ports.rawValue)"
    let sets = networks.map { network in
      """
      	# The nodes' own addresses: between pods and nodes nothing is changed.
      	set \(network.family.nodes) {
      		type \(network.family.addressType)
      \(elements(network.family))	}


      """
    }
    let leads = networks.map { "\t\t\($0.family.keyword) saddr \($0) goto \($0.family.leaving)\n" }
    let exits = networks.map { network in
      let keyword = network.family.keyword
      return """
        	chain \(network.family.leaving) {
        		\(keyword) daddr \(network) return
        		\(keyword) daddr @\(network.family.nodes) return
        		\(keyword) daddr \(network.family.multicast) return
        		\(statement)
        	}


        """
    }
    return sets.joined() + """
      	chain postrouting {
      		type nat hook postrouting priority srcnat; policy accept;
      		# What bears kube-proxy's mark is masqueraded by a chain of kube-proxy's own.
      		meta mark & 0x4000 == 0x4000 return
      \(leads.joined())	}


      """ + exits.joined()
  }

  /// An accept here is none in other tables, see `ForwardPath`.
  private var forwardText: String {
    let rules = networks.flatMap { network in
      ["saddr", "daddr"].map { "\t\t\(network.family.keyword) \($0) \(network) accept\n" }
    }
    return """
      	chain forward {
      		type filter hook forward priority filter; policy accept;
      \(rules.joined())	}

      """
  }

  private func elements(_ family: IPFamily) -> String {
    let addresses = Set(nodes.filter { $0.family == family }).sorted()
    if addresses.isEmpty { return "" }
    return "\t\telements = { \(addresses.map(\.description).joined(separator: ", ")) }\n"
  }
}

/// What `nft` calls things of a family, and what the table does.
extension IPFamily {
  var keyword: String { self == .v4 ? "ip" : "ip6" }
  fileprivate var addressType: String { self == .v4 ? "ipv4_addr" : "ipv6_addr" }
  fileprivate var multicast: String { self == .v4 ? "224.0.0.0/4" : "ff00::/8" }
  fileprivate var leaving: String { self == .v4 ? "leaving4" : "leaving6" }
  var nodes: String { self == .v4 ? "nodes4" : "nodes6" }
}
