/// Types that the programs share with the Swift code that fills and reads their maps (Sources/Pods/FastPath).

#pragma once

#include <linux/types.h>

/// An address in network byte order; an IPv4 address is stored as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2).
struct address {
  __be32 words[4];
};

/// A pod of this node: the value of its address in `pods`.
struct pod {
  /// Index of the host's end of the pod's veth pair.
  __u32 link;
  __u8 mac[6];
  /// The MAC address of the pod's gateway: the bridge's, or the host end's where there is no bridge.
  __u8 gateway_mac[6];
};

/// The key of `peers`.
struct subnet {
  /// Counted of 128 bits.
  __u32 prefix_length;
  struct address address;
};

/// The node that a subnet belongs to: the value of the subnet in `peers`.
struct peer {
  /// Index of the interface that leads there; 0 if the subnet is this node's own.
  __u32 link;
  struct address next_hop;
};

/// Why a packet was carried or took the ordinary path. `counts` has one entry for each direction and reason.
enum reason {
  CARRIED,
  /// The source is not a pod that may use the fast path, or not the pod of this link.
  NO_POD,
  /// The other address is in no subnet of another node, or the packet does not come from that node's interface.
  NO_PEER,
  /// Neither TCP nor UDP nor ICMP echo; or a frame that is not for the node; or a VLAN tag.
  PROTOCOL,
  /// A fragment, or a header with options or extensions.
  OPTIONS,
  /// The hop limit is used up.
  HOP_LIMIT,
  /// The packet is larger than the outgoing link's MTU.
  SIZE,
  /// SYN, FIN or RST.
  HANDSHAKE,
  /// The ordinary path has not yet let the flow through as established.
  NEW,
  /// The flow is translated (NAT), or a conntrack helper follows it.
  TRANSLATED,
  /// The packet renews the flow's conntrack entry and is checked by all rules.
  REFRESH,
  REASONS,
};

enum direction { FROM_POD, TO_POD, DIRECTIONS };

struct count {
  __u64 packets;
  __u64 bytes;
};

/// A flow as the pod on this node sees it: the key of `flows`.
struct flow {
  struct address pod;
  struct address peer;
  /// Ports in network byte order; for ICMP echo both are the identifier.
  __u16 pod_port;
  __u16 peer_port;
  /// The IP protocol, with `ASKED_BY_PEER` if the peer sends the echo requests: both pods may use one identifier.
  __u32 protocol;
};

#define ASKED_BY_PEER 0x100

/// When a packet of a flow last left the ordinary path unchanged, in each direction, in nanoseconds of the monotonic
/// clock; 0 for never. The value in `flows`.
struct last_seen {
  __u64 times[DIRECTIONS];
};
