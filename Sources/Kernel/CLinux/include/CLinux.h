// Kernel headers that Swift's Glibc module does not have, and the few calls that need _GNU_SOURCE.
// No feature macro may be defined here: libc's structs would differ from those of Swift's Glibc module.
#ifndef CAUSEWAY_CLINUX_H
#define CAUSEWAY_CLINUX_H

// First: <linux/if_bridge.h> and <linux/netfilter.h> then leave sockaddr_in and others to libc (linux/libc-compat.h).
#include <netinet/in.h>

#include <malloc.h>
#include <sys/vfs.h>

#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/magic.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/prctl.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/veth.h>

/// setns(2): moves the calling thread into the namespace that `fd` refers to.
int clinux_setns(int fd, int type);

/// unshare(2): moves the calling thread into new namespaces.
int clinux_unshare(int flags);

/// ioctl_ns(2) NS_GET_NSTYPE: the CLONE_NEW* constant of a namespace descriptor, or -1 with errno.
int clinux_namespace_type(int fd);

/// open(2) with O_TMPFILE: the descriptor of a nameless file in `directory`, open for writing, or -1 with errno.
int clinux_open_nameless(const char *directory, unsigned int mode);

/// pipe2(2) with O_CLOEXEC: a program that another thread starts meanwhile does not inherit the ends.
int clinux_pipe(int ends[2]);

/// fork(2), which Swift's Glibc module does not offer: only for a process of one thread.
int clinux_fork(void);

/// close_range(2): closes all descriptors from `first` to `last`; -1 with ENOSYS before Linux 5.9.
int clinux_close_range(unsigned int first, unsigned int last);

/// malloc_trim(3): returns freed memory to the kernel.
void clinux_return_free_memory(void);

/// prctl(2) with an option that takes one argument or none.
int clinux_prctl(int option, unsigned long argument);

/// capget(2) of the calling thread: capabilities 0 to 31, then 32 to 63.
int clinux_get_capabilities(struct __user_cap_data_struct halves[2]);

/// capset(2) of the calling thread.
int clinux_set_capabilities(const struct __user_cap_data_struct halves[2]);

/// bpf(2) with the first `size` bytes of its argument: a descriptor or 0, or -1 with errno.
int clinux_bpf(int command, union bpf_attr *argument, unsigned int size);

#endif
