// UDP traffic between two ends with as little work as possible, so that the path between them is measured.
//
//   traffic sink PORT SECONDS                 replies to the first packet, then counts packets; prints: packets nanoseconds
//   traffic flood ADDRESS PORT SECONDS BYTES  sends packets without pause
//   traffic echo PORT                         sends each packet back, until it is killed
//   traffic ask ADDRESS PORT SECONDS          sends requests, each after the reply to the one before; prints: replies
//                                             median 99th (nanoseconds)
//
// The reply of sink is for paths that need both directions of a flow. sink and echo print "ready" when they listen.
// Addresses are IPv4.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 32, SIZE = 1500, MOST_REQUESTS = 1 << 20 };

static struct mmsghdr batch[BATCH];
static struct iovec parts[BATCH];
static char packets[BATCH][SIZE];
static int64_t times[MOST_REQUESTS];

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void fill(size_t size) {
  for (int index = 0; index < BATCH; index++) {
    parts[index] = (struct iovec){packets[index], size};
    batch[index].msg_hdr = (struct msghdr){.msg_iov = &parts[index], .msg_iovlen = 1};
  }
}

static int bound(const char *port) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  int end = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  // Room for the packets that arrive while the receiver is not scheduled.
  int room = 8 << 20;
  setsockopt(end, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
  if (bind(end, (void *)&name, sizeof name)) die("bind");
  puts("ready");
  fflush(stdout);
  return end;
}

static int connected(const char *address, const char *port) {
  struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
  int end = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (!inet_aton(address, &name.sin_addr) || connect(end, (void *)&name, sizeof name)) die(address);
  return end;
}

static void limit(int end, int64_t nanoseconds) {
  struct timeval time = {.tv_sec = nanoseconds / 1000000000, .tv_usec = nanoseconds / 1000 % 1000000};
  setsockopt(end, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
}

static void sink(int end, int64_t length) {
  struct sockaddr_in from;
  socklen_t length_of_from = sizeof from;
  fill(SIZE);
  limit(end, 10000000000ll);
  ssize_t size = recvfrom(end, packets[0], SIZE, 0, (void *)&from, &length_of_from);
  if (size < 0 || sendto(end, packets[0], size, 0, (void *)&from, length_of_from) < 0) die("no packet came");
  // Ends even if all packets are lost.
  limit(end, length);
  int64_t start = now(), end_of_it = start, count = 0;
  while (end_of_it - start < length) {
    int received = recvmmsg(end, batch, BATCH, MSG_WAITFORONE, NULL);
    if (received > 0) count += received;
    end_of_it = now();
  }
  printf("%lld %lld\n", (long long)count, (long long)(end_of_it - start));
}

static void flood(int end, int64_t length, size_t size) {
  fill(size);
  for (int64_t start = now(); now() - start < length;) {
    // These errors are a full queue, or a receiver that does not listen yet or no longer.
    if (sendmmsg(end, batch, BATCH, 0) < 0 && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED) die("send");
  }
}

static void echo(int end) {
  struct sockaddr_in from;
  for (socklen_t length = sizeof from;; length = sizeof from) {
    ssize_t size = recvfrom(end, packets[0], SIZE, 0, (void *)&from, &length);
    if (size >= 0) sendto(end, packets[0], size, 0, (void *)&from, length);
  }
}

static int earlier(const void *a, const void *b) {
  int64_t difference = *(const int64_t *)a - *(const int64_t *)b;
  return (difference > 0) - (difference < 0);
}

static void ask(int end, int64_t length) {
  uint64_t request = 0, reply;
  int count = 0;
  limit(end, 200000000);
  for (int64_t start = now(); now() - start < length && count < MOST_REQUESTS; request++) {
    int64_t asked = now();
    memcpy(packets[0], &request, sizeof request);
    if (send(end, packets[0], 64, 0) < 0) die("send");
    ssize_t size;
    // The reply to an earlier request may be late.
    while ((size = recv(end, packets[0], SIZE, 0)) > 0 && (memcpy(&reply, packets[0], sizeof reply), reply != request)) {
    }
    if (size > 0) times[count++] = now() - asked;
  }
  if (!count) die("no reply");
  qsort(times, count, sizeof *times, earlier);
  printf("%d %lld %lld\n", count, (long long)times[count / 2], (long long)times[(int64_t)count * 99 / 100]);
}

int main(int argc, char **argv) {
  const char *verb = argc > 1 ? argv[1] : "";
  if (!strcmp(verb, "sink") && argc == 4) {
    sink(bound(argv[2]), atof(argv[3]) * 1e9);
  } else if (!strcmp(verb, "flood") && argc == 6 && atoi(argv[5]) > 0 && atoi(argv[5]) <= SIZE) {
    flood(connected(argv[2], argv[3]), atof(argv[4]) * 1e9, atoi(argv[5]));
  } else if (!strcmp(verb, "echo") && argc == 3) {
    echo(bound(argv[2]));
  } else if (!strcmp(verb, "ask") && argc == 5) {
    ask(connected(argv[2], argv[3]), atof(argv[4]) * 1e9);
  } else {
    fputs("traffic: see traffic.c\n", stderr);
    return 2;
  }
  return 0;
}
