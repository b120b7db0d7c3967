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
  /// For the fast path, which asks conntrack: it sees packets only where some rule asks for it.
  package var tracks: Bool

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

  /// What `nft -f` takes: the table that is there goes and this one comes, in one transaction.
  package var text: String {
    var parts = ["table inet causeway\ndelete table inet causeway\n"]
    if tracks { parts.append(trackText) }
    for network in networks {
      if let masquerade { parts.append(masqueradeText(network, FamilyWords(network.family), masquerade)) }
      if forwards { parts.append(forwardText(network, FamilyWords(network.family))) }
    }
    return parts.joined(separator: "\n")
  }

  private var trackText: String {
    """
    table inet causeway {
    	chain track {
    		type filter hook forward priority filter; policy accept;
    		# This alone makes conntrack look at all packets: the fast path asks it about each.
    		ct state new
    	}
    }

    """
  }

  private func masqueradeText(_ network: IPPrefix, _ words: FamilyWords, _ ports: MasqueradePorts) -> String {
    """
    table inet causeway {
    	# The nodes' own addresses: between pods and nodes nothing is changed.
    	set \(words.nodes) {
    		type \(words.addressType)\(elements(network.family))
    	}

    	chain postrouting {
    		type nat hook postrouting priority srcnat; policy accept;
    		\(words.ip) saddr \(network) goto \(words.leaving)
    	}

    	chain \(words.leaving) {
    		# What bears kube-proxy's mark is masqueraded by kube-proxy's own chain.
    		meta mark & 0x4000 == 0x4000 return
    		\(words.ip) daddr \(network) return
    		\(words.ip) daddr @\(words.nodes) return
    		\(words.ip) daddr \(words.multicast) return
    		\(ports.statement)
    	}
    }

    """
  }

  /// An accept here is none in other tables, see `ForwardPath`.
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

  /// One more line, since `nft` knows no empty list.
  private func elements(_ family: IPFamily) -> String {
    let addresses = Set(nodes.filter { $0.family == family }).sorted()
    return addresses.isEmpty ? "" : "\n\t\telements = { \(addresses.map(\.description).joined(separator: ", ")) }"
  }
}

extension MasqueradePorts {
  fileprivate var statement: String { self == .none ? "masquerade" : "masquerade \(rawValue)" }
}

/// What `nft` calls things of a family, and what the table does.
struct FamilyWords {
  let ip: String
  let addressType: String
  let multicast: String
  let nodes: String
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
