/// Reads a packet's headers.

#pragma once

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

/// include/linux/socket.h
#define AF_INET 2
#define AF_INET6 10

/// linux/icmp.h, which includes headers that do not compile for BPF.
#define ICMP_ECHOREPLY 0
#define ICMP_ECHO 8

/// The flag "more fragments" and the fragment offset (RFC 791, section 3.1).
#define FRAGMENT_MASK 0x3fff
/// The length of an IPv4 header without options, in 32-bit words.
#define IPV4_HEADER_WORDS 5

struct packet {
  struct address source;
  struct address destination;
  __u16 source_port;
  __u16 destination_port;
  __u8 family;
  __u8 protocol;
  __u8 hop_limit;
  /// Whether SYN, FIN or RST is set.
  bool is_handshake;
  enum { NO_ECHO, REQUEST, REPLY } echo;
};

/// The pointer `data` or `data_end` of a packet. Read in C, the compiler keeps the 32 bits of the field across calls,
/// and the verifier does not accept such a value as a pointer.
#define PACKET_POINTER(skb, field)                                                                  \
  ({                                                                                                \
    void *pointer;                                                                                  \
    asm volatile("%0 = *(u32 *)(%1 + %2)"                                                           \
                 : "=r"(pointer)                                                                    \
                 : "r"(skb), "i"(offsetof(struct __sk_buff, field)));                               \
    pointer;                                                                                        \
  })

/// A header; NULL if the packet is too short. Some drivers, and packet sockets, leave headers in the packet's pages:
/// these are pulled into the linear part. Only the header is pulled, because a longer pull would cut datagrams that the
/// kernel has chained (GRO).
static __always_inline void *header(struct __sk_buff *skb, __u32 offset, __u32 size) {
  void *start = PACKET_POINTER(skb, data);
  if (start + offset + size <= PACKET_POINTER(skb, data_end)) return start + offset;
  if (bpf_skb_pull_data(skb, offset + size)) return 0;
  start = PACKET_POINTER(skb, data);
  return start + offset + size <= PACKET_POINTER(skb, data_end) ? start + offset : 0;
}

static __always_inline bool is_same_address(const struct address *one, const struct address *other) {
  return one->words[0] == other->words[0] && one->words[1] == other->words[1] && one->words[2] == other->words[2] &&
         one->words[3] == other->words[3];
}

static __always_inline bool is_ipv4_mapped(const struct address *address) {
  return !address->words[0] && !address->words[1] && address->words[2] == bpf_htonl(0xffff);
}

static __always_inline void map_ipv4(struct address *address, __be32 ipv4) {
  address->words[0] = address->words[1] = 0;
  address->words[2] = bpf_htonl(0xffff);
  address->words[3] = ipv4;
}

/// Reads the family and the addresses; false if this is not an IP packet.
static __always_inline bool read_addresses(struct __sk_buff *skb, struct packet *packet) {
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
    if (!ip) return false;
    packet->family = AF_INET;
    map_ipv4(&packet->source, ip->saddr);
    map_ipv4(&packet->destination, ip->daddr);
    return true;
  }
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
    if (!ip) return false;
    packet->family = AF_INET6;
    __builtin_memcpy(&packet->source, &ip->saddr, 16);
    __builtin_memcpy(&packet->destination, &ip->daddr, 16);
    // IPv4-mapped addresses must not appear in packets (RFC 4038, section 4.2). In the maps they stand for IPv4.
    return !is_ipv4_mapped(&packet->source) && !is_ipv4_mapped(&packet->destination);
  }
  return false;
}

/// Reads the header behind the IP header; `CARRIED` if the packet can be carried.
static __always_inline enum reason read_transport(struct __sk_buff *skb, struct packet *packet, __u32 offset) {
  if (packet->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = header(skb, offset, sizeof(*tcp));
    if (!tcp) return PROTOCOL;
    packet->source_port = tcp->source;
    packet->destination_port = tcp->dest;
    packet->is_handshake = tcp->syn || tcp->fin || tcp->rst;
    return CARRIED;
  }
  if (packet->protocol == IPPROTO_UDP) {
    struct udphdr *udp = header(skb, offset, sizeof(*udp));
    if (!udp) return PROTOCOL;
    packet->source_port = udp->source;
    packet->destination_port = udp->dest;
    return CARRIED;
  }
  if (packet->protocol == (packet->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
    // Type, code and identifier have the same offsets in both families (RFC 792, RFC 4443).
    struct icmp6hdr *icmp = header(skb, offset, sizeof(*icmp));
    if (!icmp) return PROTOCOL;
    if (icmp->icmp6_type == (packet->family == AF_INET ? ICMP_ECHO : ICMPV6_ECHO_REQUEST))
      packet->echo = REQUEST;
    else if (icmp->icmp6_type == (packet->family == AF_INET ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY))
      packet->echo = REPLY;
    else
      return PROTOCOL;
    packet->source_port = packet->destination_port = icmp->icmp6_identifier;
    return CARRIED;
  }
  // Extension headers of IPv6 (RFC 8200, section 4), among them the fragment header.
  switch (packet->protocol) {
  case IPPROTO_HOPOPTS:
  case IPPROTO_ROUTING:
  case IPPROTO_FRAGMENT:
  case IPPROTO_DSTOPTS:
    if (packet->family == AF_INET6) return OPTIONS;
  }
  return PROTOCOL;
}

/// Reads protocol, hop limit and transport header, after `read_addresses`; `CARRIED` if the packet can be carried.
static __always_inline enum reason read_rest(struct __sk_buff *skb, struct packet *packet) {
  if (skb->vlan_present) return PROTOCOL;
  if (packet->family == AF_INET) {
    struct iphdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
    if (!ip) return PROTOCOL;
    if (ip->ihl != IPV4_HEADER_WORDS || ip->frag_off & bpf_htons(FRAGMENT_MASK)) return OPTIONS;
    packet->protocol = ip->protocol;
    packet->hop_limit = ip->ttl;
    return read_transport(skb, packet, sizeof(struct ethhdr) + sizeof(*ip));
  }
  struct ipv6hdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
  if (!ip) return PROTOCOL;
  packet->protocol = ip->nexthdr;
  packet->hop_limit = ip->hop_limit;
  return read_transport(skb, packet, sizeof(struct ethhdr) + sizeof(*ip));
}
