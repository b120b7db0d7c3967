/// Looks a packet's flow up in conntrack (Linux 5.18 with BTF). Compiled without `ASKS_CONNTRACK`, the programs
/// do not: they carry a flow after the ordinary path has let it through in both directions.

#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"
#include "packet.h"

#define SECOND 1000000000ull
/// How often a packet of a carried flow takes the ordinary path, in seconds. It must renew the flow's conntrack entry
/// in time: an ICMP echo or an unanswered datagram expires after 30 seconds
/// (net/netfilter/nf_conntrack_proto_udp.c, nf_conntrack_proto_icmp.c). A new firewall rule takes effect on the flow
/// after this time.
#define REFRESH_SECONDS 15

#ifdef ASKS_CONNTRACK

/// The kernel's types, reduced to the fields that are read. The running kernel's BTF gives the offsets (BPF CO-RE).
struct ip_ct_tcp {
  __u8 state;
} __attribute__((preserve_access_index));

union nf_conntrack_proto {
  struct ip_ct_tcp tcp;
} __attribute__((preserve_access_index));

/// The first extension is the helper's (include/net/netfilter/nf_conntrack_extend.h, `NF_CT_EXT_HELPER`).
struct nf_ct_ext {
  __u8 offset[1];
} __attribute__((preserve_access_index));

union nf_inet_addr {
  __be32 all[4];
} __attribute__((preserve_access_index));

union nf_conntrack_man_proto {
  __be16 all;
} __attribute__((preserve_access_index));

struct nf_conntrack_man {
  union nf_inet_addr u3;
  union nf_conntrack_man_proto u;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple {
  struct nf_conntrack_man src;
  struct {
    union nf_inet_addr u3;
    union {
      __be16 all;
    } u;
  } dst;
} __attribute__((preserve_access_index));

struct nf_conntrack_tuple_hash {
  struct nf_conntrack_tuple tuple;
} __attribute__((preserve_access_index));

struct nf_conn {
  struct nf_conntrack_tuple_hash tuplehash[2];
  unsigned long status;
  __u32 timeout;
  struct nf_ct_ext *ext;
  union nf_conntrack_proto proto;
} __attribute__((preserve_access_index));

/// The first 12 bytes of `struct bpf_ct_opts`, which every kernel accepts (net/netfilter/nf_conntrack_bpf.c).
struct bpf_ct_opts___first {
  __s32 netns_id;
  __s32 error;
  __u8 l4proto;
  __u8 dir;
  __u8 reserved[2];
};

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple__sz,
                                         struct bpf_ct_opts___first *opts, __u32 opts__sz) __ksym;
extern void bpf_ct_release(struct nf_conn *entry) __ksym;

/// The frequency of the kernel's jiffies (CONFIG_HZ); the loader sets it.
const volatile __u32 ticks_per_second = 250;

static __always_inline bool is_same_inet_addr(const union nf_inet_addr *one, const union nf_inet_addr *other) {
  return one->all[0] == other->all[0] && one->all[1] == other->all[1] && one->all[2] == other->all[2] &&
         one->all[3] == other->all[3];
}

/// Whether answers go back to where the packets come from. The status bits alone are not enough: IPVS translates
/// without them and only updates the entry's reply tuple (net/netfilter/ipvs/ip_vs_nfct.c, `ip_vs_update_conntrack`).
static __always_inline bool is_untranslated(const struct nf_conn *entry) {
  const struct nf_conntrack_tuple *there = &entry->tuplehash[0].tuple, *back = &entry->tuplehash[1].tuple;
  return !(entry->status & IPS_NAT_MASK) && is_same_inet_addr(&there->src.u3, &back->dst.u3) &&
         is_same_inet_addr(&there->dst.u3, &back->src.u3) && there->src.u.all == back->dst.u.all &&
         there->dst.u.all == back->src.u.all;
}

static __always_inline enum reason check_entry(const struct nf_conn *entry, const struct packet *packet) {
  unsigned long status = entry->status;
  if (!is_untranslated(entry) || status & IPS_SEQ_ADJUST) return TRANSLATED;
  if (entry->ext && entry->ext->offset[0]) return TRANSLATED;
  if (!(status & IPS_CONFIRMED) || status & IPS_DYING) return NEW;
  if (packet->protocol == IPPROTO_TCP &&
      (!(status & IPS_SEEN_REPLY) || entry->proto.tcp.state != TCP_CONNTRACK_ESTABLISHED))
    return NEW;
  // Carried packets do not renew the entry, so it must last until the next packet that takes the ordinary path.
  __s32 left = entry->timeout - (__u32)bpf_jiffies64();
  return left < (__s32)(REFRESH_SECONDS * ticks_per_second) ? REFRESH : CARRIED;
}

/// What conntrack's entry says about a TCP or UDP flow; `CARRIED` if it is established and nobody translates it.
static __always_inline enum reason check_conntrack(struct __sk_buff *skb, const struct packet *packet) {
  struct bpf_sock_tuple tuple = {};
  struct bpf_ct_opts___first opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = packet->protocol};
  struct nf_conn *entry;
  // Two calls, because the tuple's size selects the family.
  if (packet->family == AF_INET) {
    tuple.ipv4.saddr = packet->source.words[3];
    tuple.ipv4.daddr = packet->destination.words[3];
    tuple.ipv4.sport = packet->source_port;
    tuple.ipv4.dport = packet->destination_port;
    entry = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &opts, sizeof(opts));
  } else {
    __builtin_memcpy(tuple.ipv6.saddr, &packet->source, 16);
    __builtin_memcpy(tuple.ipv6.daddr, &packet->destination, 16);
    tuple.ipv6.sport = packet->source_port;
    tuple.ipv6.dport = packet->destination_port;
    entry = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv6), &opts, sizeof(opts));
  }
  if (!entry) return NEW;
  enum reason reason = check_entry(entry, packet);
  bpf_ct_release(entry);
  return reason;
}

/// Whether the flow must have been seen in both directions, because conntrack cannot be asked about it. The kernel's
/// lookup for programs supports TCP and UDP only.
#define NEEDS_BOTH_DIRECTIONS(packet) ((packet)->protocol == IPPROTO_ICMP || (packet)->protocol == IPPROTO_ICMPV6)

#else

static __always_inline enum reason check_conntrack(struct __sk_buff *skb, const struct packet *packet) {
  return CARRIED;
}

#define NEEDS_BOTH_DIRECTIONS(packet) true

#endif
