package import Addresses

/// The wanted content of the helper's table `inet causeway`.
///
/// Source addresses with masquerade:
///
/// | from | to | source address at the receiver |
/// |---|---|---|
/// | pod | pod of any node | the pod's |
/// | pod | a node's own address | the pod's |
/// | pod | anything else but a multicast group | the pod's node's |
/// | node | pod | the node's |
/// | outside | pod | the client's |
///
/// The last two need no rule: only packets from the cluster's networks are translated. A node's own address is the one
/// by which other nodes reach it. Other addresses of a node are not known here and count as outside.
package struct Ruleset: Sendable, Equatable {
  /// The cluster's networks, which contain all pods' addresses.
  package var networks: [IPPrefix]
  /// The nodes' own addresses.
  package var nodes: [IPAddress]
  /// Source ports of masqueraded packets; `nil` for no masquerade.
  package var masquerade: MasqueradePorts?
  /// Whether to accept forwarded packets of pods.
  package var forwards: Bool
  /// Whether to make conntrack see all packets. It sees packets only if some rule needs it; the fast path asks it.
  package var tracks: Bool

  /// Creates a ruleset.
  package init(
    networks: [IPPrefix], nodes: [IPAddress], masquerade: MasqueradePorts?, forwards: Bool, tracks: Bool = false
  ) {
    self.networks = networks
    self.nodes = nodes
    self.masquerade = masquerade
    self.forwards = forwards
    self.tracks = tracks
  }

  /// Whether the node needs no table at all.
  package var isEmpty: Bool { networks.isEmpty || masquerade == nil && !forwards && !tracks }

  /// The input of `nft -f` that replaces the present table with this one, in one transaction.
  package var text: String {
    var parts = ["table inet causeway\ndelete table inet causeway\n"]
    if tracks { parts.append(trackText) }
    for network in networks {
      if let masquerade { parts.append(masqueradeText(network, FamilyWords(network.family), ports: masquerade)) }
      if forwards { parts.append(forwardText(network, FamilyWords(network.family))) }
    }
    return parts.joined(separator: "\n")
  }

  /// The bit by which kube-proxy marks packets to masquerade (its option `--iptables-masquerade-bit`, 14 by default).
  private static let kubeProxyMark = "0x4000"

  private var trackText: String {
    """
    table inet causeway {
    	chain track {
    		type filter hook forward priority filter; policy accept;
    		# This rule makes conntrack see all packets: the fast path asks conntrack.
    		ct state new
    	}
    }

    """
  }

  private func masqueradeText(_ network: IPPrefix, _ words: FamilyWords, ports: MasqueradePorts) -> String {
    """
    table inet causeway {
    	# The nodes' own addresses: pods reach nodes with their own address.
    	set \(words.nodes) {
    		type \(words.addressType)\(elements(network.family))
    	}

    	chain postrouting {
    		type nat hook postrouting priority srcnat; policy accept;
    		\(words.ip) saddr \(network) goto \(words.leaving)
    	}

    	chain \(words.leaving) {
    		# Packets with kube-proxy's mark are masqueraded by kube-proxy's own chain.
    		meta mark & \(Ruleset.kubeProxyMark) == \(Ruleset.kubeProxyMark) return
    		\(words.ip) daddr \(network) return
    		\(words.ip) daddr @\(words.nodes) return
    		\(words.ip) daddr \(words.multicast) return
    		\(ports.statement)
    	}
    }

    """
  }

  /// Rules that accept forwarded packets. Chains in other tables may still drop them, see `ForwardPath`.
  private func forwardText(_ network: IPPrefix, _ words: FamilyWords) -> String {
    """
    table inet causeway {
    	chain forward {
    		type filter hook forward priority filter; policy accept;
    		\(words.ip) saddr \(network) accept
    		\(words.ip) daddr \(network) accept
    	}
    }

    """
  }

  /// The set's line `elements`, or nothing if it is empty: `nft` refuses an empty list.
  private func elements(_ family: IPFamily) -> String {
    let addresses = Set(nodes.filter { $0.family == family }).sorted()
    return addresses.isEmpty ? "" : "\n\t\telements = { \(addresses.map(\.description).joined(separator: ", ")) }"
  }
}

extension MasqueradePorts {
  /// The statement in the words of `nft`.
  fileprivate var statement: String { self == .none ? "masquerade" : "masquerade \(rawValue)" }
}

/// Words of a family: `nft`'s keywords, and the names of sets and chains in our table.
struct FamilyWords {
  /// `nft`'s keyword for the header.
  let ip: String
  /// `nft`'s type of an address.
  let addressType: String
  /// The prefix of all multicast groups.
  let multicast: String
  /// Name of the set of the nodes' addresses.
  let nodes: String
  /// Name of the chain for packets from pods.
  let leaving: String

  init(_ family: IPFamily) {
    switch family {
    case .v4: (ip, addressType, multicast) = ("ip", "ipv4_addr", "224.0.0.0/4")
    case .v6: (ip, addressType, multicast) = ("ip6", "ipv6_addr", "ff00::/8")
    }
    nodes = family == .v4 ? "nodes4" : "nodes6"
    leaving = family == .v4 ? "leaving4" : "leaving6"
  }
}
