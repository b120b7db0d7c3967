/// The fast path: packets between pods of different nodes bypass the bridge and netfilter.
///
/// `from_pod` runs where a pod's packets come in (ingress of the host's end of its veth pair) and sends them straight
/// to the other node. `from_node` runs where other nodes' packets come in (ingress of the node's interface) and puts
/// them straight into the pod. Each decides by itself with this node's maps, so the other node need not have the fast
/// path. Packets that they do not carry take the ordinary path unchanged.
///
/// `to_node` and `to_pod` run at the ends of the ordinary path (egress) and record which flows leave it unchanged. Only
/// those are carried, and every 15 seconds a packet of each takes the ordinary path again.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "carry.h"
#include "flow.h"
#include "layout.h"
#include "maps.h"
#include "packet.h"

/// The kernel's helpers for packets are for GPL programs only.
char licence[] SEC("license") = "GPL";

SEC("tc")
int from_pod(struct __sk_buff *skb) {
  struct packet packet = {};
  if (!read_addresses(skb, &packet)) {
    forget_in_transit();
    return TC_ACT_UNSPEC;
  }
  struct pod *pod = bpf_map_lookup_elem(&pods, &packet.source);
  if (!pod || pod->link != skb->ifindex) return pass_on(skb, FROM_POD, NO_POD);
  struct peer *peer = find_peer(&packet.destination);
  if (!peer || !peer->link) return pass_on(skb, FROM_POD, NO_PEER);
  // Only frames from the pod's own MAC to its gateway.
  struct ethhdr *ethernet = (void *)(long)skb->data;
  if ((void *)(ethernet + 1) > (void *)(long)skb->data_end) return TC_ACT_UNSPEC;
  if (__builtin_memcmp(ethernet->h_dest, pod->gateway_mac, 6) || __builtin_memcmp(ethernet->h_source, pod->mac, 6))
    return pass_on(skb, FROM_POD, PROTOCOL);
  enum reason reason = read_rest(skb, &packet);
  if (reason != CARRIED) return pass_on(skb, FROM_POD, reason);
  if (packet.hop_limit <= 1) return pass_on(skb, FROM_POD, HOP_LIMIT);
  if (!fits(skb, peer->link)) return pass_on(skb, FROM_POD, SIZE);
  reason = check_flow(skb, &packet, FROM_POD);
  if (reason != CARRIED) return count(skb, FROM_POD, reason, TC_ACT_UNSPEC);

  struct bpf_redir_neigh next_hop = {.nh_family = packet.family};
  if (packet.family == AF_INET)
    next_hop.ipv4_nh = peer->next_hop.words[3];
  else
    __builtin_memcpy(next_hop.ipv6_nh, &peer->next_hop, 16);
  __u32 link = peer->link;
  if (!decrement_hop_limit(skb, &packet)) return TC_ACT_SHOT;
  return count(skb, FROM_POD, CARRIED, bpf_redirect_neigh(link, &next_hop, sizeof(next_hop), 0));
}

SEC("tc")
int from_node(struct __sk_buff *skb) {
  struct packet packet = {};
  if (!read_addresses(skb, &packet)) {
    forget_in_transit();
    return TC_ACT_UNSPEC;
  }
  // Packets that are not for this node's pods are not counted.
  struct pod *pod = bpf_map_lookup_elem(&pods, &packet.destination);
  if (!pod) {
    forget_in_transit();
    return TC_ACT_UNSPEC;
  }
  struct peer *peer = find_peer(&packet.source);
  if (!peer || peer->link != skb->ifindex) return pass_on(skb, TO_POD, NO_PEER);
  if (skb->pkt_type != PACKET_HOST) return pass_on(skb, TO_POD, PROTOCOL);
  enum reason reason = read_rest(skb, &packet);
  if (reason != CARRIED) return pass_on(skb, TO_POD, reason);
  if (packet.hop_limit <= 1) return pass_on(skb, TO_POD, HOP_LIMIT);
  if (!fits(skb, pod->link)) return pass_on(skb, TO_POD, SIZE);
  reason = check_flow(skb, &packet, TO_POD);
  if (reason != CARRIED) return count(skb, TO_POD, reason, TC_ACT_UNSPEC);

  __u32 link = pod->link;
  if (!decrement_hop_limit(skb, &packet)) return TC_ACT_SHOT;
  struct ethhdr *ethernet = (void *)(long)skb->data;
  if ((void *)(ethernet + 1) > (void *)(long)skb->data_end) return TC_ACT_SHOT;
  __builtin_memcpy(ethernet->h_dest, pod->mac, 6);
  __builtin_memcpy(ethernet->h_source, pod->gateway_mac, 6);
  return count(skb, TO_POD, CARRIED, bpf_redirect_peer(link, 0));
}

SEC("tc")
int to_node(struct __sk_buff *skb) {
  record_exit(skb, FROM_POD);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int to_pod(struct __sk_buff *skb) {
  record_exit(skb, TO_POD);
  return TC_ACT_UNSPEC;
}
