// The fast path's programs as the compiler made them: hack/programs, which hack/check runs again.
#ifndef CAUSEWAY_CFASTPATH_H
#define CAUSEWAY_CFASTPATH_H

/// An object file of BPF programs.
struct cfastpath_object {
  const void *bytes;
  unsigned long size;
};

/// Those that ask conntrack, or those that know a flow by sight.
struct cfastpath_object cfastpath_object(int asks_conntrack);

/// From now on what libbpf has to say is kept here instead of being printed, and what it said before is forgotten.
void cfastpath_listen(void);

/// Its first warning since then, or "".
const char *cfastpath_warning(void);

#endif
