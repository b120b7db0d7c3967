// Kernel headers that Swift's Glibc module does not carry, and the few calls that need _GNU_SOURCE.
// No libc header may be included here: with other feature macros than Glibc's module its structs would differ.
#ifndef CAUSEWAY_CLINUX_H
#define CAUSEWAY_CLINUX_H

#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/veth.h>

/// setns(2): moves the calling thread into the namespace that `fd` refers to.
int clinux_setns(int fd, int type);

/// unshare(2): gives the calling thread new namespaces of its own.
int clinux_unshare(int flags);

/// ioctl_ns(2) NS_GET_NSTYPE: the CLONE_NEW* constant of a namespace descriptor, or -1 with errno.
int clinux_namespace_type(int fd);

/// open(2) with O_TMPFILE: a nameless file in `directory`, open for writing, or -1 with errno.
int clinux_open_nameless(const char *directory, unsigned int mode);

#endif
