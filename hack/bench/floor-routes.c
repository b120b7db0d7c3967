// The floor for the helper's speed: what the routes to the other nodes of a cluster cost the kernel. The messages are
// packed into as few packets as possible, and nothing is read, compared or logged.
//
//   floor-routes inline|next-hops NODES
//
// Node N has the address 172.16.0.1 + N on eth0 and the pods 10.(N >> 8).(N & 255).0/24. Node 0 is this one. With
// `inline`, each route names its gateway; with `next-hops`, each gateway is a next hop object. Routes and objects have
// the helper's protocol number.
#include <arpa/inet.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PACKET = 32768, MARK = 202 };

static char packet[PACKET + 512];
static size_t filled;
static struct nlmsghdr *head;
static int kernel;

static void die(const char *what) {
  perror(what);
  exit(1);
}

// The kernel answers the last message of a packet, and each message that fails.
static void flush(void) {
  struct {
    struct nlmsghdr head;
    struct nlmsgerr error;
    char rest[4096];
  } answer;
  if (!filled) return;
  head->nlmsg_flags |= NLM_F_ACK;
  if (send(kernel, packet, filled, 0) < 0 || recv(kernel, &answer, sizeof answer, 0) < 0) die("netlink");
  if (answer.error.error) {
    fprintf(stderr, "floor-routes: %s\n", strerror(-answer.error.error));
    exit(1);
  }
  filled = 0;
}

static void begin(int type, const void *body, size_t size) {
  if (filled > PACKET - 256) flush();
  head = (void *)(packet + filled);
  memset(head, 0, 256);
  *head = (struct nlmsghdr){.nlmsg_len = NLMSG_LENGTH(size), .nlmsg_type = type,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL};
  memcpy(NLMSG_DATA(head), body, size);
}

static void put(int type, const void *payload) {
  struct rtattr *attribute = (void *)((char *)head + NLMSG_ALIGN(head->nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(4);
  memcpy(RTA_DATA(attribute), payload, 4);
  head->nlmsg_len = NLMSG_ALIGN(head->nlmsg_len) + RTA_LENGTH(4);
}

static void end(void) { filled += NLMSG_ALIGN(head->nlmsg_len); }

int main(int argc, char **argv) {
  uint32_t link = if_nametoindex("eth0"), nodes = argc == 3 ? atoi(argv[2]) : 0;
  int objects = nodes && !strcmp(argv[1], "next-hops");
  if (!nodes || !link) return 2;
  kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  for (uint32_t node = 1; objects && node < nodes; node++) {
    struct nhmsg body = {.nh_family = AF_INET, .nh_protocol = MARK};
    uint32_t gateway = htonl(0xac100001 + node);
    begin(RTM_NEWNEXTHOP, &body, sizeof body);
    put(NHA_ID, &node);
    put(NHA_OIF, &link);
    put(NHA_GATEWAY, &gateway);
    end();
  }
  for (uint32_t node = 1; node < nodes; node++) {
    struct rtmsg body = {.rtm_family = AF_INET, .rtm_dst_len = 24, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = MARK,
                         .rtm_type = RTN_UNICAST};
    uint32_t gateway = htonl(0xac100001 + node), pods = htonl(0x0a000000 | node << 8);
    begin(RTM_NEWROUTE, &body, sizeof body);
    put(RTA_DST, &pods);
    if (objects) {
      put(RTA_NH_ID, &node);
    } else {
      put(RTA_OIF, &link);
      put(RTA_GATEWAY, &gateway);
    }
    end();
  }
  flush();
  return 0;
}
