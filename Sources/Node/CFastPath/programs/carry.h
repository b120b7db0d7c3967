/// Sends a packet past the ordinary path, or leaves it to that path, and counts it.

#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flow.h"
#include "layout.h"
#include "maps.h"
#include "packet.h"

/// Whether the packet, or each segment of it, fits the link's MTU.
static __always_inline bool fits(struct __sk_buff *skb, __u32 link) {
  __u32 mtu = 0;
  if (bpf_check_mtu(skb, link, &mtu, 0, BPF_MTU_CHK_SEGS) != BPF_MTU_CHK_RET_SUCCESS) return false;
  // bpf_check_mtu allows for the link's whole header, which with VLANs is longer than the packet's Ethernet header.
  return skb->gso_size || skb->len <= mtu + sizeof(struct ethhdr);
}

/// Decrements the hop limit (RFC 1812, section 5.3.1; RFC 8200, section 3) and keeps the checksums right; false if the
/// packet could not be changed.
static __always_inline bool decrement_hop_limit(struct __sk_buff *skb, const struct packet *packet) {
  __u8 hop_limit = packet->hop_limit - 1;
  if (packet->family == AF_INET6)
    // IPv6 has no header checksum, but a checksum of the whole packet from the hardware covers the hop limit.
    return !bpf_skb_store_bytes(skb, sizeof(struct ethhdr) + offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1,
                                BPF_F_RECOMPUTE_CSUM);
  struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr);
  if ((void *)(ip + 1) > (void *)(long)skb->data_end) return false;
  // RFC 1624: the header checksum changes by as much as the header, so a checksum of the whole packet stays right too.
  __u32 check = ip->check + bpf_htons(0x0100);
  ip->check = check + (check >= 0xffff);
  ip->ttl = hop_limit;
  return true;
}

/// Counts the packet. Returns `verdict` if it is carried, else TC_ACT_UNSPEC: the next filter, then the ordinary path.
static __always_inline int count(struct __sk_buff *skb, enum direction direction, enum reason reason, int verdict) {
  __u32 index = direction * REASONS + reason;
  struct count *count = bpf_map_lookup_elem(&counts, &index);
  if (count) {
    count->packets++;
    count->bytes += skb->len;
  }
  if (reason != CARRIED) return TC_ACT_UNSPEC;
  return verdict;
}

/// Leaves a packet to the ordinary path that could not be carried even if its flow were known.
static __always_inline int pass_on(struct __sk_buff *skb, enum direction direction, enum reason reason) {
  forget_in_transit();
  return count(skb, direction, reason, TC_ACT_UNSPEC);
}
