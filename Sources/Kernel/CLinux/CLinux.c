#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int clinux_setns(int fd, int type) { return setns(fd, type); }

int clinux_unshare(int flags) { return unshare(flags); }

int clinux_namespace_type(int fd) { return ioctl(fd, NS_GET_NSTYPE); }

int clinux_open_nameless(const char *directory, unsigned int mode) {
  return open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
}

int clinux_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int clinux_fork(void) { return fork(); }

int clinux_close_range(unsigned int first, unsigned int last) { return close_range(first, last, 0); }

void clinux_return_free_memory(void) { malloc_trim(0); }

int clinux_prctl(int option, unsigned long argument) { return prctl(option, argument, 0, 0, 0); }

int clinux_get_capabilities(struct __user_cap_data_struct halves[2]) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return syscall(SYS_capget, &header, halves);
}

int clinux_set_capabilities(const struct __user_cap_data_struct halves[2]) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return syscall(SYS_capset, &header, halves);
}

int clinux_bpf(int command, union bpf_attr *argument, unsigned int size) {
  return syscall(SYS_bpf, command, argument, size);
}
