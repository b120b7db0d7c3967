/// The maps of the programs. User space fills `pods` and `peers` and reads `counts`.

#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"

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
  __type(value, struct last_seen);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} flows SEC(".maps");

/// The flow of the packet that is on the ordinary path now. A packet leaves that path on the processor on which it
/// entered it, so one entry for each processor is enough.
struct in_transit {
  struct flow flow;
  __u32 direction;
  __u32 is_valid;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct in_transit);
} in_transit SEC(".maps");

/// The node that the address's longest subnet belongs to; NULL if the address is in no subnet.
static __always_inline struct peer *find_peer(const struct address *address) {
  struct subnet key = {.prefix_length = 128, .address = *address};
  return bpf_map_lookup_elem(&peers, &key);
}

/// This processor's entry. It is never NULL, but the verifier does not know that.
static __always_inline struct in_transit *find_in_transit(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&in_transit, &zero);
}
