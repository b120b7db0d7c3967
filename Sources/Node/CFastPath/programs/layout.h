/// What the programs share with whoever fills and reads their maps (Sources/Pods/FastPath).

#pragma once

#include <linux/types.h>

/// An address in network byte order; one of IPv4 as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2).
struct address {
  __be32 words[4];
};

/// A pod of this node: what stands for its address in `pods`.
struct pod {
  /// The host's end of its cable.
  __u32 link;
  __u8 mac[6];
  /// What the pod sends to for other networks: the bridge's, or the host end's where there is no bridge.
  __u8 gateway_mac[6];
};

/// The key of `peers`.
struct subnet {
  /// Of 128 bits.
  __u32 prefix_length;
  struct address address;
};

/// A node's pods: what stands for its subnet in `peers`.
struct peer {
  /// The interface that leads there; 0: the subnet is this node's own.
  __u32 link;
  struct address next_hop;
};

/// Why a packet was carried or went the ordinary way; the place in `counts` of each direction.
enum reason {
  CARRIED,
  /// Its source is no pod's that may use the fast path, or not this one's.
  NO_POD,
  /// The other side is in no subnet of another node, or doesn't come from there.
  NO_PEER,
  /// Another protocol than TCP, UDP and ICMP echo; a frame that is not for the node; VLAN tags.
  PROTOCOL,
  /// Fragments, and headers with options or extensions.
  OPTIONS,
  /// It was at its last hop.
  HOP_LIMIT,
  /// Larger than the way allows.
  SIZE,
  /// SYN, FIN and RST.
  HANDSHAKE,
  /// The ordinary path has not seen it established.
  NEW,
  /// Somebody translates it, or follows what it says.
  TRANSLATED,
  /// It keeps the ordinary path's memory of it awake, and hears its rules.
  REFRESH,
  REASONS,
};

enum direction { FROM_POD, TO_POD, DIRECTIONS };

struct count {
  __u64 packets;
  __u64 bytes;
};

/// A flow as its pod on this node sees it: the key of `flows`.
struct flow {
  struct address pod;
  struct address peer;
  /// In network byte order; of ICMP echo both are the identifier.
  __u16 pod_port;
  __u16 peer_port;
  /// With `ASKED_BY_PEER` where the echo requests are the other pod's: those of both may have one identifier.
  __u32 protocol;
};

#define ASKED_BY_PEER 0x100

/// When packets of a flow last left the ordinary path as they had entered it, in nanoseconds of the monotonic clock.
struct sight {
  __u64 seen[DIRECTIONS];
};
