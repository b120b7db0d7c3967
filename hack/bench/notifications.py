"""The kernel's notifications of the helper's routes, with their times."""

import socket
import struct
import sys
import time

OWNER = 202
UNICAST = 1
LINK, ROUTE4, ROUTE6, NEXTHOP = 1, 7, 11, 32  # RTNLGRP_*
NEW_LINK, NEW_ROUTE, DEL_ROUTE, NEW_NEXTHOP = 16, 24, 25, 104  # RTM_*
LOWER_UP = 0x10000


class Listener:
    """Receives notifications as (time, type, subject)."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 256 << 20)  # SO_RCVBUFFORCE
        self.socket.bind((0, 0))
        for group in (LINK, ROUTE4, ROUTE6, NEXTHOP):
            self.socket.setsockopt(270, 1, group)  # SOL_NETLINK, NETLINK_ADD_MEMBERSHIP

    def next(self, limit):
        """The next notifications, as soon as they come; an empty list after `limit` seconds without any."""
        self.socket.settimeout(limit)
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            return []
        now, found, offset = time.perf_counter(), [], 0
        while offset + 16 <= len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            body = data[offset + 16:offset + length]
            if kind in (NEW_ROUTE, DEL_ROUTE) and body[5] == OWNER and body[7] == UNICAST:
                found.append((now, kind, destination(body)))
            elif kind == NEW_NEXTHOP and body[2] == OWNER:
                found.append((now, kind, None))
            elif kind == NEW_LINK:
                found.append((now, kind, struct.unpack_from("=BxHiI", body)[3]))
            offset += (length + 3) & ~3
        return found

    def until(self, enough, what, limit=60):
        """All notifications until `enough` returns true for the newest of them."""
        deadline, all_of_them = time.perf_counter() + limit, []
        while time.perf_counter() < deadline:
            new = self.next(0.5)
            all_of_them += new
            if enough(new):
                return all_of_them
        sys.exit(f"hack/bench/run: {what} did not come within {limit} s")

    def settle(self):
        """Waits until no notification has come for 0.2 s."""
        while self.next(0.2):
            pass


def destination(body):
    offset = 12
    while offset + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, offset)
        if kind == 1:
            return bytes(body[offset + 4:offset + length])
        offset += (length + 3) & ~3
    return b""


def counter(wanted):
    """A function for `until`: true when this many different routes have come."""
    seen = set()

    def enough(new):
        seen.update(subject for _, kind, subject in new if kind == NEW_ROUTE)
        return len(seen) >= wanted
    return enough
