// The floor that the plugin's speed is measured against: what an ADD and a DEL cost when nothing is checked.
//
// ADD: read stdin; take the next address with one O_EXCL file under a lock; one RTM_NEWLINK makes both ends of the veth
// pair (the host's end up and a port of the bridge, the peer named in the pod's namespace); in the pod: link up, address,
// default route; print. DEL: one RTM_DELLINK, two unlinks. The bridge must be there and carry the gateway's address.
// With an IPv6 network too, the second address has the same last 16 bits and a file of its own.
//
//   floor-plugin BRIDGE DIRECTORY A.B.0.0 [A:B::]    with CNI_* and stdin as a plugin has them; /16, and /64
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

static char message[4096];
static size_t length;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void begin(int type, int flags, const void *header, size_t size) {
  struct nlmsghdr *head = (void *)message;
  memset(message, 0, sizeof message);
  head->nlmsg_type = type;
  head->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  memcpy(message + NLMSG_HDRLEN, header, size);
  length = NLMSG_HDRLEN + NLMSG_ALIGN(size);
}

static struct rtattr *put(int type, const void *payload, size_t size) {
  struct rtattr *attribute = (void *)(message + length);
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(size);
  memcpy(RTA_DATA(attribute), payload, size);
  length += RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void end(struct rtattr *nest) { nest->rta_len = message + length - (char *)nest; }

static void talk(int socket, const char *what) {
  struct {
    struct nlmsghdr head;
    struct nlmsgerr error;
    char rest[4096];
  } answer;
  ((struct nlmsghdr *)message)->nlmsg_len = length;
  if (send(socket, message, length, 0) < 0 || recv(socket, &answer, sizeof answer, 0) < 0) die(what);
  if (answer.error.error) {
    fprintf(stderr, "%s: %s\n", what, strerror(-answer.error.error));
    exit(1);
  }
}

// An address and the default route over the network's first one.
static void configure(int socket, int family, const void *address, const void *gateway, int prefix, uint32_t index) {
  size_t size = family == AF_INET ? 4 : 16;
  struct ifaddrmsg info = {.ifa_family = family, .ifa_prefixlen = prefix, .ifa_index = index, .ifa_flags = IFA_F_NODAD};
  if (family == AF_INET) info.ifa_flags = 0;
  begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
  put(IFA_LOCAL, address, size);
  put(IFA_ADDRESS, address, size);
  talk(socket, "add the address");
  struct rtmsg route = {
      .rtm_family = family, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT, .rtm_type = RTN_UNICAST};
  begin(RTM_NEWROUTE, NLM_F_CREATE, &route, sizeof route);
  put(RTA_GATEWAY, gateway, size);
  put(RTA_OIF, &index, 4);
  talk(socket, "add the route");
}

// A file that says whose the address is; 0 where another has it.
static int hold(const char *directory, const char *address, const char *id, const char *ifname) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, address);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return 0;
  dprintf(file, "%s\r\n%s", id, ifname);
  close(file);
  return 1;
}

int main(int argc, char **argv) {
  char input[65536], path[512], name[IFNAMSIZ], other[64];
  const char *id = getenv("CNI_CONTAINERID"), *ifname = getenv("CNI_IFNAME"), *netns = getenv("CNI_NETNS");
  if (argc < 4 || argc > 5 || !id || !ifname || !netns) return 2;
  while (read(0, input, sizeof input) > 0) {}
  int host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  uint32_t hash = 2166136261u;
  for (const char *c = id; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  snprintf(name, sizeof name, "veth%08x", hash);

  if (!strcmp(getenv("CNI_COMMAND"), "DEL")) {
    struct ifinfomsg info = {0};
    begin(RTM_DELLINK, 0, &info, sizeof info);
    put(IFLA_IFNAME, name, strlen(name) + 1);
    talk(host, "remove the link");
    snprintf(path, sizeof path, "%s/owner-%s", argv[2], id);
    ssize_t size = readlink(path, other, sizeof other - 1);
    if (size < 0) die(path);
    other[size] = 0;
    unlink(path);
    for (char *rest = other, *address; (address = strsep(&rest, " "));) {
      if (!*address) continue;
      snprintf(path, sizeof path, "%s/%s", argv[2], address);
      unlink(path);
    }
    return 0;
  }

  // The addresses.
  struct in_addr network, address;
  struct in6_addr address6;
  char text6[INET6_ADDRSTRLEN] = "";
  inet_aton(argv[3], &network);
  if (argc == 5) inet_pton(AF_INET6, argv[4], &address6);
  snprintf(path, sizeof path, "%s/lock", argv[2]);
  int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  uint32_t last = 1;
  pread(lock, &last, sizeof last, 0);
  do {
    last = last % 65533 + 1;
    address.s_addr = htonl(ntohl(network.s_addr) + last + 1);
  } while (!hold(argv[2], inet_ntoa(address), id, ifname));
  if (argc == 5) {
    address6.s6_addr16[7] = htons(last + 1);
    inet_ntop(AF_INET6, &address6, text6, sizeof text6);
    if (!hold(argv[2], text6, id, ifname)) die(text6);
  }
  pwrite(lock, &last, sizeof last, 0);
  // DEL finds them by this: "IPv4 IPv6".
  snprintf(other, sizeof other, "%s %s", inet_ntoa(address), text6);
  snprintf(path, sizeof path, "%s/owner-%s", argv[2], id);
  symlink(other, path);
  close(lock);

  // The cable.
  int pod = open(netns, O_RDONLY | O_CLOEXEC);
  uint32_t bridge = if_nametoindex(argv[1]);
  struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer_info = {0};
  begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
  put(IFLA_IFNAME, name, strlen(name) + 1);
  put(IFLA_MASTER, &bridge, 4);
  struct rtattr *link = put(IFLA_LINKINFO, "", 0);
  put(IFLA_INFO_KIND, "veth", 5);
  struct rtattr *data = put(IFLA_INFO_DATA, "", 0);
  struct rtattr *peer = put(VETH_INFO_PEER, &peer_info, sizeof peer_info);
  put(IFLA_IFNAME, ifname, strlen(ifname) + 1);
  put(IFLA_NET_NS_FD, &pod, 4);
  end(peer);
  end(data);
  end(link);
  talk(host, "make the veth pair");

  // The pod.
  if (setns(pod, CLONE_NEWNET)) die(netns);
  int inside = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  uint32_t index = if_nametoindex(ifname), gateway = htonl(ntohl(network.s_addr) + 1);
  info.ifi_index = index;
  begin(RTM_NEWLINK, 0, &info, sizeof info);
  talk(inside, "set the link up");
  configure(inside, AF_INET, &address, &gateway, 16, index);
  if (argc == 5) {
    struct in6_addr gateway6 = address6;
    gateway6.s6_addr16[7] = htons(1);
    configure(inside, AF_INET6, &address6, &gateway6, 64, index);
  }
  printf("{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"%s/16\"}]}", inet_ntoa(address));
  return 0;
}
