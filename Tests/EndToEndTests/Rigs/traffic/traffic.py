"""Traffic of pods: a server that echoes what it receives, and clients of it.

Each command prints its findings, and exits with 1 if an answer differs from what was sent.
"""

import argparse
import mmap
import random
import select
import signal
import socket
import struct
import sys
import threading
import time

# linux/in.h, linux/in6.h, linux/errqueue.h: constants that Python has no names for.
IP_RECVERR, IPV6_RECVERR = 11, 25
# An IPv4 record route option for three hops; a destination options header of IPv6 that holds padding (RFC 8200, 4.2).
RECORD_ROUTE = bytes([7, 15, 4] + [0] * 12 + [1])
PADDING = bytes([0, 0, 1, 4, 0, 0, 0, 0])
# linux/if_packet.h, linux/if_ether.h: more constants that Python has no names for.
SOL_PACKET, PACKET_TX_RING, TP_STATUS_SEND_REQUEST, ETH_P_IP, ETH_P_IPV6 = 263, 13, 1, 0x0800, 0x86DD
# Seconds to wait for a peer. Retransmission timeouts double (RFC 6298, 5.5), so they reach a minute after a test has
# cut the path for half a minute.
PATIENCE = 100


def say(*words):
    print(*words, flush=True)


def address(host, port):
    return socket.getaddrinfo(host, port)[0][4]


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def fail(*words):
    say(*words)
    sys.exit(1)


# The server


def echo(connection, name):
    try:
        connection.sendall(name.encode().ljust(16))
        while data := connection.recv(1 << 20):
            connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        say("connection:", error.strerror)
    connection.close()


def serve(options):
    """Answers TCP and UDP of both families; every answer begins with the server's name, padded to 16 letters."""
    datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    datagrams.bind(("::", options.port))
    listener = socket.create_server(
        ("::", options.port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
    say("ready")
    while True:
        for ready in select.select([datagrams, listener], [], [])[0]:
            if ready is listener:
                connection = listener.accept()[0]
                threading.Thread(target=echo, args=(connection, options.name), daemon=True).start()
                continue
            data, sender = datagrams.recvfrom(65536)
            if data.startswith(b"note "):
                say("noted", data[5:].decode(), "from", sender[0].removeprefix("::ffff:"))
            else:
                datagrams.sendto(options.name.encode().ljust(16) + data, sender)


# TCP


def connect(options):
    """Connects to the server, from port --port-here if it is given."""
    if not options.port_here:
        return socket.create_connection((options.host, options.port), timeout=PATIENCE)
    connection = socket.socket(family(options.host), socket.SOCK_STREAM)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    connection.bind(("", options.port_here))
    connection.settimeout(PATIENCE)
    connection.connect(address(options.host, options.port))
    return connection


def tcp(options):
    """Sends --bytes bytes, or until SIGTERM, and compares what comes back."""
    connection = connect(options)
    say("from", connection.getsockname()[1])
    name = b""
    while len(name) < 16:
        name += connection.recv(16 - len(name)) or fail("ended before the name")
    pattern = random.Random(options.port_here).randbytes(1 << 20) * 2
    sent = received = 0
    wanted = options.bytes
    is_ended = False

    def end(*_):
        nonlocal is_ended
        is_ended = True

    signal.signal(signal.SIGTERM, end)
    connection.setblocking(False)
    is_shut = False
    reported = 0
    while not (is_shut and received == sent):
        is_done = is_ended or (wanted and sent >= wanted)
        if is_done and not is_shut and (not options.reset or received == sent):
            is_shut = True
            if options.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                break
            connection.shutdown(socket.SHUT_WR)
            continue
        readable, writable, _ = select.select([connection], [] if is_done else [connection], [], PATIENCE)
        if not readable and not writable:
            fail("no progress after", received, "of", sent)
        if writable:
            offset = sent % (1 << 20)
            size = min(1 << 16, wanted - sent) if wanted else 1 << 16
            try:
                sent += connection.send(pattern[offset:offset + size])
            except BlockingIOError:
                pass
            if options.pause:
                time.sleep(options.pause)
        if readable:
            data = connection.recv(1 << 20)
            if not data:
                fail("ended after", received, "of", sent)
            offset = received % (1 << 20)
            if data != pattern[offset:offset + len(data)]:
                fail("another byte after", received)
            received += len(data)
            if received >> 20 > reported:
                reported = received >> 20
                say("so far", received)
    if not options.reset:
        connection.setblocking(True)
        connection.settimeout(PATIENCE)
        if connection.recv(1):
            fail("more than was sent")
    connection.close()
    say("complete", received, "by", name.decode().strip())


def seldom(options):
    """Sends one byte, waits for its answer and pauses, --count times."""
    connection = socket.create_connection((options.host, options.port), timeout=PATIENCE)
    connection.recv(16, socket.MSG_WAITALL)
    for number in range(options.count):
        time.sleep(options.pause if number else 0)
        connection.sendall(b"x")
        if connection.recv(1) != b"x":
            fail("ended after", number)
    say("complete", options.count)


# UDP


def datagram_socket(options, port_here=0):
    end = socket.socket(family(options.host), socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    end.bind((options.address_here or "", port_here))
    end.settimeout(0.5)
    return end


def ask(end, host, port, text, tries=10):
    """Sends until an answer comes, and returns the server's name, or None."""
    to = address(host, port)
    for _ in range(tries):
        end.sendto(text, to)
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            try:
                data, sender = end.recvfrom(65536)
            except (TimeoutError, ConnectionRefusedError):
                break
            # A late answer to an earlier datagram.
            if data[16:] != text:
                continue
            if sender[0] != to[0] and not host.endswith(".255"):
                fail("asked", to[0], "but answered", sender[0])
            return data[:16].decode().strip()
    return None


def udp(options):
    """Sends --count requests from --sockets sockets, and prints how often each server answered."""
    names = {}
    unanswered = 0
    ends = [datagram_socket(options, options.port_here) for _ in range(options.sockets)]
    for end in ends:
        if options.options and family(options.host) == socket.AF_INET:
            end.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, RECORD_ROUTE)
        elif options.options:
            end.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, PADDING)
    padding = random.Random(1).randbytes(options.size)
    for number in range(options.count):
        text = (struct.pack("!I", number) + padding)[:options.size]
        name = ask(ends[number % len(ends)], options.host, options.port, text, options.tries)
        if name is None:
            unanswered += 1
        else:
            names[name] = names.get(name, 0) + 1
    for name in sorted(names):
        say(name, names[name])
    say("unanswered", unanswered)
    sys.exit(1 if unanswered else 0)


def turns(options):
    """Sends requests to several addresses by turns, from one socket."""
    end = datagram_socket(options, options.port_here)
    hosts = [options.host] + options.others
    for number in range(options.count):
        for host in hosts:
            host, port = host.split("=") if "=" in host else (host, options.port)
            if ask(end, host, int(port), struct.pack("!I", number) + host.encode()) is None:
                fail("no answer from", host, "at", number)
    say("complete", options.count)


def flood(options):
    """Sends until SIGTERM, and prints how many answers came."""
    end = datagram_socket(options, options.port_here)
    end.settimeout(0)
    answers = number = 0

    def stop(*_):
        say("answers", answers)
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    to = address(options.host, options.port)
    while True:
        number += 1
        try:
            end.sendto(struct.pack("!I", number), to)
            if number == 1:
                say("ready")
            while True:
                end.recvfrom(65536)
                answers += 1
                if answers % 100 == 0:
                    say("so far", answers)
        except OSError:
            pass
        time.sleep(0.001)


def note(options):
    """Sends datagrams that the server prints and does not answer."""
    end = datagram_socket(options, options.port_here)
    for number in range(options.count):
        end.sendto(f"note {options.text} {number}".encode(), address(options.host, options.port))
    say("sent", options.count)


def frames(options):
    """Sends notes in Ethernet frames through the ring of a packet socket, which puts all after the header in other pages.

    With --mapped they are IPv6 packets between IPv4-mapped addresses."""
    is_ipv6 = family(options.host) == socket.AF_INET6 or options.mapped
    source, destination = (
        socket.inet_pton(socket.AF_INET6, f"::ffff:{host}") if options.mapped else socket.inet_pton(family(host), host)
        for host in (options.address_here, options.host))
    with open("/sys/class/net/eth0/address") as file:
        ethernet = bytes.fromhex((options.gateway + file.read().strip()).replace(":", ""))
    ring = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    ring.bind(("eth0", ETH_P_IPV6 if is_ipv6 else ETH_P_IP))
    size, count = 2048, 64
    ring.setsockopt(SOL_PACKET, PACKET_TX_RING, struct.pack("IIII", 4096, size * count // 4096, size, count))
    slots = mmap.mmap(ring.fileno(), size * count)
    for number in range(options.count):
        text = f"note {options.text} {number}".encode()
        length = 8 + len(text)
        pseudo = source + destination + struct.pack("!II", length, socket.IPPROTO_UDP)
        ports = struct.pack("!HHH", options.port_here, options.port, length)
        datagram = ports + struct.pack("!H", checksum(pseudo + ports + text)) + text
        if is_ipv6:
            header = struct.pack("!IHBB", 6 << 28, length, socket.IPPROTO_UDP, 64)
        else:
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + length, 0, 0x4000, 64, socket.IPPROTO_UDP, 0)
            header = header[:10] + struct.pack("!H", checksum(header + source + destination))
        frame = ethernet + struct.pack("!H", ETH_P_IPV6 if is_ipv6 else ETH_P_IP) + header + source + destination + datagram
        # The kernel reads only these two fields of struct tpacket_hdr; the frame begins at offset 32.
        slot = number % count * size
        slots[slot + 32:slot + 32 + len(frame)] = frame
        slots[slot:slot + 12] = struct.pack("QI", TP_STATUS_SEND_REQUEST, len(frame))
        ring.send(b"")
    say("sent", options.count)


def checksum(data):
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def probe(options):
    """Establishes a flow, sends a datagram with another hop limit, and prints the ICMP error or the answer."""
    is_ipv6 = family(options.host) == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if is_ipv6 else socket.IPPROTO_IP
    end = datagram_socket(options)
    end.connect(address(options.host, options.port))
    for number in range(20):
        if ask(end, options.host, options.port, struct.pack("!I", number)) is None:
            fail("no answer")
    end.setsockopt(level, IPV6_RECVERR if is_ipv6 else IP_RECVERR, 1)
    end.setsockopt(level, socket.IPV6_UNICAST_HOPS if is_ipv6 else socket.IP_TTL, options.hops)
    for _ in range(5):
        try:
            end.send(bytes(options.size))
        except OSError:
            pass
        # A queued error also makes the socket readable.
        if not select.select([end], [], [], 1)[0]:
            continue
        try:
            ancillary = end.recvmsg(65536, 1024, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)[1]
        except BlockingIOError:
            data = end.recv(65536)
            # A late answer to an earlier request.
            if len(data) - 16 != options.size:
                continue
            say("answered", len(data) - 16)
            return
        data = ancillary[-1][2]
        kind, code = data[5:7]
        offender = data[24:40] if is_ipv6 else data[20:24]
        say("from", socket.inet_ntop(family(options.host), offender), "type", kind, "code", code)
        return
    fail("nothing came")


parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["serve", "tcp", "udp", "turns", "flood", "note", "frames", "probe", "seldom"])
parser.add_argument("host", nargs="?", default="")
parser.add_argument("others", nargs="*", default=[])
parser.add_argument("--port", type=int, default=80)
parser.add_argument("--name", default="server")
parser.add_argument("--address-here")
parser.add_argument("--port-here", type=int, default=0)
parser.add_argument("--bytes", type=int, default=0)
parser.add_argument("--pause", type=float, default=0)
parser.add_argument("--reset", action="store_true")
parser.add_argument("--count", type=int, default=50)
parser.add_argument("--size", type=int, default=100)
parser.add_argument("--sockets", type=int, default=1)
parser.add_argument("--tries", type=int, default=10)
parser.add_argument("--options", action="store_true")
parser.add_argument("--hops", type=int, default=0)
parser.add_argument("--text", default="")
parser.add_argument("--gateway", default="", help="MAC address of the gateway")
parser.add_argument("--mapped", action="store_true")
options = parser.parse_args()
globals()[options.command](options)
