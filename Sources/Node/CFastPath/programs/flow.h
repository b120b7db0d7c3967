/// Which flows may be carried: those that the ordinary path has let through unchanged.

#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "conntrack.h"
#include "layout.h"
#include "maps.h"
#include "packet.h"

static __always_inline void make_flow(struct flow *flow, const struct packet *packet, enum direction direction) {
  bool is_from_pod = direction == FROM_POD;
  flow->pod = is_from_pod ? packet->source : packet->destination;
  flow->peer = is_from_pod ? packet->destination : packet->source;
  flow->pod_port = is_from_pod ? packet->source_port : packet->destination_port;
  flow->peer_port = is_from_pod ? packet->destination_port : packet->source_port;
  flow->protocol = packet->protocol;
  if (packet->echo == (is_from_pod ? REPLY : REQUEST)) flow->protocol |= ASKED_BY_PEER;
}

/// Marks that the packet on the ordinary path is of no flow that could be carried.
static __always_inline void forget_in_transit(void) {
  struct in_transit *transit = find_in_transit();
  if (transit) transit->is_valid = false;
}

/// Whether a packet may be carried: `CARRIED`, or the reason why it takes the ordinary path.
///
/// A flow may be carried if the ordinary path has let it through unchanged in this direction and conntrack finds it
/// untranslated, or, without conntrack, in both directions. Conntrack alone is not enough: it has an entry before all
/// rules have seen the flow, and keeps it when a later rule drops the flow.
static __always_inline enum reason check_flow(struct __sk_buff *skb, const struct packet *packet,
                                              enum direction direction) {
  struct flow flow = {};
  make_flow(&flow, packet, direction);
  if (packet->is_handshake) {
    // The next packet may be of another connection.
    bpf_map_delete_elem(&flows, &flow);
    forget_in_transit();
    return HANDSHAKE;
  }
  struct last_seen *seen = bpf_map_lookup_elem(&flows, &flow);
  bool is_known = seen && seen->times[direction] && (!NEEDS_BOTH_DIRECTIONS(packet) || seen->times[!direction]);
  if (is_known && bpf_ktime_get_coarse_ns() - seen->times[direction] <= REFRESH_SECONDS * SECOND) return CARRIED;
  struct in_transit *transit = find_in_transit();
  if (!transit) return NEW;
  transit->is_valid = false;
  if (!NEEDS_BOTH_DIRECTIONS(packet)) {
    enum reason reason = check_conntrack(skb, packet);
    if (reason != CARRIED) return reason;
  }
  transit->flow = flow;
  transit->direction = direction;
  transit->is_valid = true;
  return is_known ? REFRESH : NEW;
}

/// Records in `flows` that a packet leaves the ordinary path, if it is the one that `check_flow` has seen enter it.
static __always_inline void record_exit(struct __sk_buff *skb, enum direction direction) {
  struct in_transit *transit = find_in_transit();
  if (!transit || !transit->is_valid) return;
  struct packet packet = {};
  if (transit->direction != direction || !read_addresses(skb, &packet) || read_rest(skb, &packet) != CARRIED) return;
  struct flow flow = {};
  make_flow(&flow, &packet, direction);
  if (!is_same_address(&flow.pod, &transit->flow.pod) || !is_same_address(&flow.peer, &transit->flow.peer) ||
      flow.pod_port != transit->flow.pod_port || flow.peer_port != transit->flow.peer_port ||
      flow.protocol != transit->flow.protocol)
    // Packets that came in together with it may leave before it.
    return;
  transit->is_valid = false;
  // The fast path would use another link than this one: the packet goes elsewhere, or to the bridge's other ports too.
  if (direction == FROM_POD) {
    struct peer *peer = find_peer(&flow.peer);
    if (!peer || peer->link != skb->ifindex) return;
  } else {
    struct pod *pod = bpf_map_lookup_elem(&pods, &flow.pod);
    if (!pod || pod->link != skb->ifindex) return;
  }
  __u64 now = bpf_ktime_get_coarse_ns();
  struct last_seen *known = bpf_map_lookup_elem(&flows, &flow);
  if (known && now - known->times[direction] < 2 * REFRESH_SECONDS * SECOND) {
    known->times[direction] = now;
    return;
  }
  // After so long a pause conntrack has forgotten the flow too and treats it as new, so old times count no more.
  struct last_seen seen = {};
  if (known && now - known->times[!direction] < 2 * REFRESH_SECONDS * SECOND)
    seen.times[!direction] = known->times[!direction];
  seen.times[direction] = now;
  bpf_map_update_elem(&flows, &flow, &seen, BPF_ANY);
}
