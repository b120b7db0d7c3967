// The fast path's compiled programs, and libbpf's warnings. hack/programs compiles the objects; hack/check compares
// them with their sources.
#ifndef CAUSEWAY_CFASTPATH_H
#define CAUSEWAY_CFASTPATH_H

/// An object file of BPF programs.
struct cfastpath_object {
  const void *bytes;
  unsigned long size;
};

/// The programs that ask conntrack, or those that carry a flow after both directions were seen.
struct cfastpath_object cfastpath_object(int asks_conntrack);

/// Makes libbpf's warnings readable by `cfastpath_warning` instead of printing them, and forgets earlier ones.
void cfastpath_collect_warnings(void);

/// libbpf's first warning since `cfastpath_collect_warnings`, or "". Valid until that is called again.
const char *cfastpath_warning(void);

#endif
