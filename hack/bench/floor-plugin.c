// The floor for the plugin's speed: what ADD and DEL cost when nothing is checked.
//
// ADD reads stdin and takes the next address with one O_EXCL file under a lock. One RTM_NEWLINK makes both ends of the
// veth pair: the host's end is up and a port of the bridge, the peer has its name in the pod's namespace. In the pod, ADD
// sets the link up and adds address and default route. It prints the result. DEL is one RTM_DELLINK and two unlinks.
// The bridge must exist and have the gateway's address. An IPv6 address has a file as well.
//
//   floor-plugin BRIDGE DIRECTORY A.B.0.0 [A:B::]    with CNI_* and stdin as for a plugin; the networks are /16 and /64
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

// Adds the address and the default route, whose gateway is the first address of the network.
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

// A file that names the owner of the address; 0 if another pod has the address.
static int hold(const char *directory, const char *address, const char *id, const char *ifname) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, address);
  int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return 0;
  dprintf(file, "%s\r\n%s", id, ifname);
  close(file);
  return 1;
}

struct call {
  const char *id, *ifname, *netns, *bridge, *directory;
  char link[IFNAMSIZ];  // the host's end of the veth pair
  int host;             // a socket of the node
};

struct addresses {
  struct in_addr network, pod;
  struct in6_addr pod6;
  int has_ipv6;
};

static void delete(const struct call *call) {
  char path[512], held[64];
  struct ifinfomsg info = {0};
  begin(RTM_DELLINK, 0, &info, sizeof info);
  put(IFLA_IFNAME, call->link, strlen(call->link) + 1);
  talk(call->host, "remove the link");
  snprintf(path, sizeof path, "%s/owner-%s", call->directory, call->id);
  ssize_t size = readlink(path, held, sizeof held - 1);
  if (size < 0) die(path);
  held[size] = 0;
  unlink(path);
  for (char *rest = held, *address; (address = strsep(&rest, " "));) {
    if (!*address) continue;
    snprintf(path, sizeof path, "%s/%s", call->directory, address);
    unlink(path);
  }
}

// Takes the next free address, and the IPv6 address with the same last 16 bits.
static void take(const struct call *call, struct addresses *addresses) {
  char path[512], held[64], text6[INET6_ADDRSTRLEN] = "";
  snprintf(path, sizeof path, "%s/lock", call->directory);
  int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  flock(lock, LOCK_EX);
  uint32_t last = 1;
  pread(lock, &last, sizeof last, 0);
  do {
    last = last % 65533 + 1;
    addresses->pod.s_addr = htonl(ntohl(addresses->network.s_addr) + last + 1);
  } while (!hold(call->directory, inet_ntoa(addresses->pod), call->id, call->ifname));
  if (addresses->has_ipv6) {
    addresses->pod6.s6_addr16[7] = htons(last + 1);
    inet_ntop(AF_INET6, &addresses->pod6, text6, sizeof text6);
    if (!hold(call->directory, text6, call->id, call->ifname)) die(text6);
  }
  pwrite(lock, &last, sizeof last, 0);
  // DEL finds both by this link: "IPv4 IPv6".
  snprintf(held, sizeof held, "%s %s", inet_ntoa(addresses->pod), text6);
  snprintf(path, sizeof path, "%s/owner-%s", call->directory, call->id);
  symlink(held, path);
  close(lock);
}

static void add_veth_pair(const struct call *call, int pod) {
  uint32_t bridge = if_nametoindex(call->bridge);
  struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP}, peer_info = {0};
  begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof info);
  put(IFLA_IFNAME, call->link, strlen(call->link) + 1);
  put(IFLA_MASTER, &bridge, 4);
  struct rtattr *link = put(IFLA_LINKINFO, "", 0);
  put(IFLA_INFO_KIND, "veth", 5);
  struct rtattr *data = put(IFLA_INFO_DATA, "", 0);
  struct rtattr *peer = put(VETH_INFO_PEER, &peer_info, sizeof peer_info);
  put(IFLA_IFNAME, call->ifname, strlen(call->ifname) + 1);
  put(IFLA_NET_NS_FD, &pod, 4);
  end(peer);
  end(data);
  end(link);
  talk(call->host, "make the veth pair");
}

static void configure_pod(const struct call *call, int pod, const struct addresses *addresses) {
  if (setns(pod, CLONE_NEWNET)) die(call->netns);
  int inside = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  uint32_t index = if_nametoindex(call->ifname), gateway = htonl(ntohl(addresses->network.s_addr) + 1);
  struct ifinfomsg info = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP, .ifi_index = index};
  begin(RTM_NEWLINK, 0, &info, sizeof info);
  talk(inside, "set the link up");
  configure(inside, AF_INET, &addresses->pod, &gateway, 16, index);
  if (addresses->has_ipv6) {
    struct in6_addr gateway6 = addresses->pod6;
    gateway6.s6_addr16[7] = htons(1);
    configure(inside, AF_INET6, &addresses->pod6, &gateway6, 64, index);
  }
}

int main(int argc, char **argv) {
  char input[65536];
  struct call call = {.id = getenv("CNI_CONTAINERID"), .ifname = getenv("CNI_IFNAME"), .netns = getenv("CNI_NETNS")};
  if (argc < 4 || argc > 5 || !call.id || !call.ifname || !call.netns) return 2;
  call.bridge = argv[1];
  call.directory = argv[2];
  while (read(0, input, sizeof input) > 0) {}
  call.host = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  uint32_t hash = 2166136261u;
  for (const char *c = call.id; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  snprintf(call.link, sizeof call.link, "veth%08x", hash);
  if (!strcmp(getenv("CNI_COMMAND"), "DEL")) {
    delete(&call);
    return 0;
  }

  struct addresses addresses = {.has_ipv6 = argc == 5};
  inet_aton(argv[3], &addresses.network);
  if (addresses.has_ipv6) inet_pton(AF_INET6, argv[4], &addresses.pod6);
  take(&call, &addresses);
  int pod = open(call.netns, O_RDONLY | O_CLOEXEC);
  add_veth_pair(&call, pod);
  configure_pod(&call, pod, &addresses);
  printf("{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"%s/16\"}]}", inet_ntoa(addresses.pod));
  return 0;
}
