/// Pods' packets between nodes, past bridge and netfilter.
///
/// `from_pod` runs where a pod's packets come in (the host's end of its cable, ingress) and sends them straight to the
/// other node; `from_node` runs where other nodes' come in (the node's interface, ingress) and puts them straight into the
/// pod. Each decides for itself and by this node alone, so one side may be without. What they leave alone goes on as if
/// they weren't there. `to_node` and `to_pod` run at the other ends of the ordinary path (egress) and note which flows
/// come out of it as they went in: only those are carried, and each of them is looked at anew every 15 seconds.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

/// include/linux/socket.h
#define AF_INET 2
#define AF_INET6 10

/// linux/icmp.h, which draws in what is not for programs.
#define ICMP_ECHOREPLY 0
#define ICMP_ECHO 8

#define SECOND 1000000000ull
/// So often a packet of a flow that is carried goes the ordinary way: before that forgets the flow (an ICMP echo or a
/// datagram without answer after 30 seconds, net/netfilter/nf_conntrack_proto_udp.c, nf_conntrack_proto_icmp.c), and so
/// that a rule that is made later is heard.
#define REFRESH_SECONDS 15

char licence[] SEC("license") = "GPL";

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct address);
  __type(value, struct pod);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} pods SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, struct subnet);
  __type(value, struct peer);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} peers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, DIRECTIONS * REASONS);
  __type(key, __u32);
  __type(value, struct count);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct flow);
  __type(value, struct sight);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} flows SEC(".maps");

/// A packet's flow on its way through the ordinary path, which it leaves on the processor that it entered it on.
struct passage {
  struct flow flow;
  __u32 direction;
  __u32 is_under_way;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct passage);
} passages SEC(".maps");

// MARK: Packets

struct packet {
  struct address source;
  struct address destination;
  __u16 source_port;
  __u16 destination_port;
  __u8 family;
  __u8 protocol;
  __u8 hop_limit;
  /// SYN, FIN or RST.
  bool is_handshake;
  enum { NO_ECHO, REQUEST, REPLY } echo;
};

/// The packet's beginning or end. The compiler would keep it in 32 bits from one look to the next, as the field says, and
/// the verifier knows no such pointer.
#define LOOK(skb, field)                                                                            \
  ({                                                                                                \
    void *pointer;                                                                                  \
    asm volatile("%0 = *(u32 *)(%1 + %2)"                                                           \
                 : "=r"(pointer)                                                                    \
                 : "r"(skb), "i"(offsetof(struct __sk_buff, field)));                               \
    pointer;                                                                                        \
  })

/// A header; NULL where the packet ends before. Some drivers, and packet sockets, leave headers among the pages of what
/// follows. No more is drawn in than that: datagrams that the kernel has chained would lose their ends.
static __always_inline void *header(struct __sk_buff *skb, __u32 offset, __u32 size) {
  void *start = LOOK(skb, data);
  if (start + offset + size <= LOOK(skb, data_end)) return start + offset;
  if (bpf_skb_pull_data(skb, offset + size)) return 0;
  start = LOOK(skb, data);
  return start + offset + size <= LOOK(skb, data_end) ? start + offset : 0;
}

static __always_inline bool is_same(const struct address *one, const struct address *other) {
  return one->words[0] == other->words[0] && one->words[1] == other->words[1] && one->words[2] == other->words[2] &&
         one->words[3] == other->words[3];
}

static __always_inline bool is_mapped(const struct address *address) {
  return !address->words[0] && !address->words[1] && address->words[2] == bpf_htonl(0xffff);
}

static __always_inline void map_address(struct address *address, __be32 ipv4) {
  address->words[0] = address->words[1] = 0;
  address->words[2] = bpf_htonl(0xffff);
  address->words[3] = ipv4;
}

/// The addresses; false where it is no IP packet.
static __always_inline bool read_addresses(struct __sk_buff *skb, struct packet *packet) {
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
    if (!ip) return false;
    packet->family = AF_INET;
    map_address(&packet->source, ip->saddr);
    map_address(&packet->destination, ip->daddr);
    return true;
  }
  if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
    if (!ip) return false;
    packet->family = AF_INET6;
    __builtin_memcpy(&packet->source, &ip->saddr, 16);
    __builtin_memcpy(&packet->destination, &ip->daddr, 16);
    // These are no addresses of packets (RFC 4038, section 4.2), but what we call those of IPv4.
    return !is_mapped(&packet->source) && !is_mapped(&packet->destination);
  }
  return false;
}

/// What stands behind the IP header; what can be carried is `CARRIED`.
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
    // Type, code and identifier stand at the same places in both (RFC 792, RFC 4443).
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
  // Extension headers of IPv6 (RFC 8200, section 4), among them that of fragments.
  switch (packet->protocol) {
  case IPPROTO_HOPOPTS:
  case IPPROTO_ROUTING:
  case IPPROTO_FRAGMENT:
  case IPPROTO_DSTOPTS:
    if (packet->family == AF_INET6) return OPTIONS;
  }
  return PROTOCOL;
}

/// The rest of what is to be known; what can be carried is `CARRIED`.
static __always_inline enum reason read_rest(struct __sk_buff *skb, struct packet *packet) {
  if (skb->vlan_present) return PROTOCOL;
  if (packet->family == AF_INET) {
    struct iphdr *ip = header(skb, sizeof(struct ethhdr), sizeof(*ip));
    if (!ip) return PROTOCOL;
    // More fragments, or an offset.
    if (ip->ihl != 5 || ip->frag_off & bpf_htons(0x3fff)) return OPTIONS;
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

static __always_inline struct peer *find_peer(const struct address *address) {
  struct subnet key = {.prefix_length = 128, .address = *address};
  return bpf_map_lookup_elem(&peers, &key);
}

static __always_inline void make_flow(struct flow *flow, const struct packet *packet, enum direction direction) {
  bool is_from_pod = direction == FROM_POD;
  flow->pod = is_from_pod ? packet->source : packet->destination;
  flow->peer = is_from_pod ? packet->destination : packet->source;
  flow->pod_port = is_from_pod ? packet->source_port : packet->destination_port;
  flow->peer_port = is_from_pod ? packet->destination_port : packet->source_port;
  flow->protocol = packet->protocol;
  if (packet->echo == (is_from_pod ? REPLY : REQUEST)) flow->protocol |= ASKED_BY_PEER;
}

// MARK: What is known of a flow

#ifdef ASKS_CONNTRACK

/// Of the kernel's types what is looked at; where that stands is told by the kernel that runs (BPF CO-RE).
struct ip_ct_tcp {
  __u8 state;
} __attribute__((preserve_access_index));

union nf_conntrack_proto {
  struct ip_ct_tcp tcp;
} __attribute__((preserve_access_index));

/// Its first extension is that of helpers (include/net/netfilter/nf_conntrack_extend.h).
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

/// net/netfilter/nf_conntrack_bpf.c; its first 12 bytes are what every kernel knows.
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

/// Of the kernel's clock (CONFIG_HZ).
const volatile __u32 ticks_per_second = 250;

static __always_inline bool is_same_inside(const union nf_inet_addr *one, const union nf_inet_addr *other) {
  return one->all[0] == other->all[0] && one->all[1] == other->all[1] && one->all[2] == other->all[2] &&
         one->all[3] == other->all[3];
}

/// Whether answers go back where the packets come from. The status alone doesn't say so: IPVS translates by itself and
/// only lets conntrack know of the answers (net/netfilter/ipvs/ip_vs_nfct.c, `ip_vs_update_conntrack`).
static __always_inline bool is_untranslated(const struct nf_conn *entry) {
  const struct nf_conntrack_tuple *there = &entry->tuplehash[0].tuple, *back = &entry->tuplehash[1].tuple;
  return !(entry->status & IPS_NAT_MASK) && is_same_inside(&there->src.u3, &back->dst.u3) &&
         is_same_inside(&there->dst.u3, &back->src.u3) && there->src.u.all == back->dst.u.all &&
         there->dst.u.all == back->src.u.all;
}

static __always_inline enum reason judge(const struct nf_conn *entry, const struct packet *packet) {
  unsigned long status = entry->status;
  if (!is_untranslated(entry) || status & IPS_SEQ_ADJUST) return TRANSLATED;
  if (entry->ext && entry->ext->offset[0]) return TRANSLATED;
  if (!(status & IPS_CONFIRMED) || status & IPS_DYING) return NEW;
  if (packet->protocol == IPPROTO_TCP &&
      (!(status & IPS_SEEN_REPLY) || entry->proto.tcp.state != TCP_CONNTRACK_ESTABLISHED))
    return NEW;
  // What is carried doesn't keep the entry alive, and it must live for as long as that.
  __s32 left = entry->timeout - (__u32)bpf_jiffies64();
  return left < (__s32)(REFRESH_SECONDS * ticks_per_second) ? REFRESH : CARRIED;
}

static __always_inline enum reason ask_conntrack(struct __sk_buff *skb, const struct packet *packet) {
  struct bpf_sock_tuple tuple = {};
  struct bpf_ct_opts___first opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = packet->protocol};
  struct nf_conn *entry;
  // Two calls, as the size tells the family.
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
  enum reason reason = judge(entry, packet);
  bpf_ct_release(entry);
  return reason;
}

/// Conntrack tells programs of TCP and UDP only.
#define KNOWS_BY_SIGHT(packet) ((packet)->protocol == IPPROTO_ICMP || (packet)->protocol == IPPROTO_ICMPV6)
#else
static __always_inline enum reason ask_conntrack(struct __sk_buff *skb, const struct packet *packet) {
  return CARRIED;
}
#define KNOWS_BY_SIGHT(packet) true
#endif

/// This processor's; never NULL, but the verifier doesn't know.
static __always_inline struct passage *find_passage(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&passages, &zero);
}

/// Another packet goes the ordinary way.
static __always_inline void forget_passage(void) {
  struct passage *passage = find_passage();
  if (passage) passage->is_under_way = false;
}

/// Whether the ordinary path has let the flow through as it came: in this direction, where conntrack says that nobody
/// translates it, else in both. Conntrack alone would say too little: it knows a flow before all rules have seen it, and
/// still when a later rule drops it.
static __always_inline enum reason ask(struct __sk_buff *skb, const struct packet *packet, enum direction direction) {
  struct flow flow = {};
  make_flow(&flow, packet, direction);
  if (packet->is_handshake) {
    // What comes next may be another connection.
    bpf_map_delete_elem(&flows, &flow);
    forget_passage();
    return HANDSHAKE;
  }
  struct sight *sight = bpf_map_lookup_elem(&flows, &flow);
  bool is_known = sight && sight->seen[direction] && (!KNOWS_BY_SIGHT(packet) || sight->seen[!direction]);
  if (is_known && bpf_ktime_get_coarse_ns() - sight->seen[direction] <= REFRESH_SECONDS * SECOND) return CARRIED;
  struct passage *passage = find_passage();
  if (!passage) return NEW;
  passage->is_under_way = false;
  if (!KNOWS_BY_SIGHT(packet)) {
    enum reason reason = ask_conntrack(skb, packet);
    if (reason != CARRIED) return reason;
  }
  passage->flow = flow;
  passage->direction = direction;
  passage->is_under_way = true;
  return is_known ? REFRESH : NEW;
}

/// A packet leaves the ordinary path.
static __always_inline void see(struct __sk_buff *skb, enum direction direction) {
  struct passage *passage = find_passage();
  if (!passage || !passage->is_under_way) return;
  struct packet packet = {};
  if (passage->direction != direction || !read_addresses(skb, &packet) || read_rest(skb, &packet) != CARRIED) return;
  struct flow flow = {};
  make_flow(&flow, &packet, direction);
  if (!is_same(&flow.pod, &passage->flow.pod) || !is_same(&flow.peer, &passage->flow.peer) ||
      flow.pod_port != passage->flow.pod_port || flow.peer_port != passage->flow.peer_port ||
      flow.protocol != passage->flow.protocol)
    // One of those that came in together with it, and leave before it.
    return;
  passage->is_under_way = false;
  // Another link than that which carries leads elsewhere, or to a bridge's other ports too.
  if (direction == FROM_POD) {
    struct peer *peer = find_peer(&flow.peer);
    if (!peer || peer->link != skb->ifindex) return;
  } else {
    struct pod *pod = bpf_map_lookup_elem(&pods, &flow.pod);
    if (!pod || pod->link != skb->ifindex) return;
  }
  __u64 now = bpf_ktime_get_coarse_ns();
  struct sight *known = bpf_map_lookup_elem(&flows, &flow);
  if (known && now - known->seen[direction] < 2 * REFRESH_SECONDS * SECOND) {
    known->seen[direction] = now;
    return;
  }
  // After so long without a packet the ordinary path has forgotten it too, and looks at it anew.
  struct sight sight = {};
  if (known && now - known->seen[!direction] < 2 * REFRESH_SECONDS * SECOND)
    sight.seen[!direction] = known->seen[!direction];
  sight.seen[direction] = now;
  bpf_map_update_elem(&flows, &flow, &sight, BPF_ANY);
}

// MARK: Carrying

/// Whether the packet, or each that it will be cut into, may leave by the link.
static __always_inline bool fits(struct __sk_buff *skb, __u32 link) {
  __u32 mtu = 0;
  if (bpf_check_mtu(skb, link, &mtu, 0, BPF_MTU_CHK_SEGS) != BPF_MTU_CHK_RET_SUCCESS) return false;
  // It counts what the link puts before a packet, with VLANs more than what is there now.
  return skb->gso_size || skb->len <= mtu + sizeof(struct ethhdr);
}

/// One hop less (RFC 1812, section 5.3.1; RFC 8200, section 3), and the checksums right.
static __always_inline bool take_hop(struct __sk_buff *skb, const struct packet *packet) {
  __u8 hop_limit = packet->hop_limit - 1;
  if (packet->family == AF_INET6)
    // No checksum of the packet covers it, but one that the hardware may have made does.
    return !bpf_skb_store_bytes(skb, sizeof(struct ethhdr) + offsetof(struct ipv6hdr, hop_limit), &hop_limit, 1,
                                BPF_F_RECOMPUTE_CSUM);
  struct iphdr *ip = (void *)(long)skb->data + sizeof(struct ethhdr);
  if ((void *)(ip + 1) > (void *)(long)skb->data_end) return false;
  // RFC 1624: the sum of both stays what it is, and so does one of the whole packet that the hardware may have made.
  __u32 check = ip->check + bpf_htons(0x0100);
  ip->check = check + (check >= 0xffff);
  ip->ttl = hop_limit;
  return true;
}

static __always_inline int count(struct __sk_buff *skb, enum direction direction, enum reason reason, int verdict) {
  __u32 place = direction * REASONS + reason;
  struct count *count = bpf_map_lookup_elem(&counts, &place);
  if (count) {
    count->packets++;
    count->bytes += skb->len;
  }
  if (reason != CARRIED) return TC_ACT_UNSPEC;
  return verdict;
}

/// A packet that is not to be carried, whatever is known of its flow.
static __always_inline int pass_on(struct __sk_buff *skb, enum direction direction, enum reason reason) {
  forget_passage();
  return count(skb, direction, reason, TC_ACT_UNSPEC);
}

SEC("tc")
int from_pod(struct __sk_buff *skb) {
  struct packet packet = {};
  if (!read_addresses(skb, &packet)) {
    forget_passage();
    return TC_ACT_UNSPEC;
  }
  struct pod *pod = bpf_map_lookup_elem(&pods, &packet.source);
  if (!pod || pod->link != skb->ifindex) return pass_on(skb, FROM_POD, NO_POD);
  struct peer *peer = find_peer(&packet.destination);
  if (!peer || !peer->link) return pass_on(skb, FROM_POD, NO_PEER);
  // To the gateway, from the pod's own MAC.
  struct ethhdr *ethernet = (void *)(long)skb->data;
  if ((void *)(ethernet + 1) > (void *)(long)skb->data_end) return TC_ACT_UNSPEC;
  if (__builtin_memcmp(ethernet->h_dest, pod->gateway_mac, 6) || __builtin_memcmp(ethernet->h_source, pod->mac, 6))
    return pass_on(skb, FROM_POD, PROTOCOL);
  enum reason reason = read_rest(skb, &packet);
  if (reason != CARRIED) return pass_on(skb, FROM_POD, reason);
  if (packet.hop_limit <= 1) return pass_on(skb, FROM_POD, HOP_LIMIT);
  if (!fits(skb, peer->link)) return pass_on(skb, FROM_POD, SIZE);
  reason = ask(skb, &packet, FROM_POD);
  if (reason != CARRIED) return count(skb, FROM_POD, reason, TC_ACT_UNSPEC);

  struct bpf_redir_neigh next_hop = {.nh_family = packet.family};
  if (packet.family == AF_INET)
    next_hop.ipv4_nh = peer->next_hop.words[3];
  else
    __builtin_memcpy(next_hop.ipv6_nh, &peer->next_hop, 16);
  __u32 link = peer->link;
  if (!take_hop(skb, &packet)) return TC_ACT_SHOT;
  return count(skb, FROM_POD, CARRIED, bpf_redirect_neigh(link, &next_hop, sizeof(next_hop), 0));
}

SEC("tc")
int from_node(struct __sk_buff *skb) {
  struct packet packet = {};
  if (!read_addresses(skb, &packet)) {
    forget_passage();
    return TC_ACT_UNSPEC;
  }
  // What is not for this node's pods is no concern of ours, nor counted.
  struct pod *pod = bpf_map_lookup_elem(&pods, &packet.destination);
  if (!pod) {
    forget_passage();
    return TC_ACT_UNSPEC;
  }
  struct peer *peer = find_peer(&packet.source);
  if (!peer || peer->link != skb->ifindex) return pass_on(skb, TO_POD, NO_PEER);
  if (skb->pkt_type != PACKET_HOST) return pass_on(skb, TO_POD, PROTOCOL);
  enum reason reason = read_rest(skb, &packet);
  if (reason != CARRIED) return pass_on(skb, TO_POD, reason);
  if (packet.hop_limit <= 1) return pass_on(skb, TO_POD, HOP_LIMIT);
  if (!fits(skb, pod->link)) return pass_on(skb, TO_POD, SIZE);
  reason = ask(skb, &packet, TO_POD);
  if (reason != CARRIED) return count(skb, TO_POD, reason, TC_ACT_UNSPEC);

  __u32 link = pod->link;
  if (!take_hop(skb, &packet)) return TC_ACT_SHOT;
  struct ethhdr *ethernet = (void *)(long)skb->data;
  if ((void *)(ethernet + 1) > (void *)(long)skb->data_end) return TC_ACT_SHOT;
  __builtin_memcpy(ethernet->h_dest, pod->mac, 6);
  __builtin_memcpy(ethernet->h_source, pod->gateway_mac, 6);
  return count(skb, TO_POD, CARRIED, bpf_redirect_peer(link, 0));
}

SEC("tc")
int to_node(struct __sk_buff *skb) {
  see(skb, FROM_POD);
  return TC_ACT_UNSPEC;
}

SEC("tc")
int to_pod(struct __sk_buff *skb) {
  see(skb, TO_POD);
  return TC_ACT_UNSPEC;
}
