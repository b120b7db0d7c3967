"""A node of a large cluster: the helper with each store against packed messages (floor-routes.c) and ip -batch.

All times end with a notification of the kernel, which a separate listener receives. They begin with the start of the
process, with a change in the store, or with another notification.
"""

import os
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

import pictures
from notifications import DEL_ROUTE, LOWER_UP, NEW_LINK, NEW_NEXTHOP, NEW_ROUTE, OWNER, Listener, counter
from private import HELPER, built, sh
from report import spread
from stores import Etcd, Kubernetes, NodesFile, fields, subnet

TOOLS = ("gcc", "etcd")
STORES = (NodesFile, Etcd, Kubernetes)
INLINE, NEXT_HOPS, BATCH = "floor, inline", "floor, next hops", "ip -batch"


def used(pid):
    """Seconds of processor time in the program and in the kernel."""
    with open(f"/proc/{pid}/stat") as file:
        numbers = file.read().rsplit(")", 1)[1].split()
    return [int(number) / os.sysconf("SC_CLK_TCK") for number in numbers[11:13]]


def memory(pid, name):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))


class Start:
    """A process, measured from its start to the last route."""

    def __init__(self, listener, command, nodes):
        listener.settle()
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        found = listener.until(counter(nodes - 1), f"the last route of {os.path.basename(command[0])}")
        last = max(when for when, kind, _ in found if kind == NEW_ROUTE)
        first = min(when for when, kind, _ in found if kind in (NEW_ROUTE, NEW_NEXTHOP))
        self.wall, self.kernel_work = (last - start) * 1000, (last - first) * 1000


class Agent(Start):
    def __init__(self, listener, store, nodes):
        super().__init__(listener, [HELPER, "run"] + store.options, nodes)
        self.program, self.kernel = (seconds * 1000 for seconds in used(self.process.pid))
        self.peak = memory(self.process.pid, "VmHWM")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        subprocess.check_call([HELPER, "clean"], stdout=subprocess.DEVNULL)


class Rival(Start):
    """A program that ends when it has added the routes."""

    def __init__(self, listener, command, nodes):
        super().__init__(listener, command, nodes)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            sys.exit(f"hack/bench/run: {command[0]} failed")
        self.program, self.kernel = usage.ru_utime * 1000, usage.ru_stime * 1000

    def stop(self):
        # Routes and next hops are removed with the link.
        sh("ip link set eth0 down && ip link set eth0 up")


def rivals(nodes):
    batch = "/run/batch"
    with open(batch, "w") as file:
        for index in range(1, nodes):
            file.write(f"route add {subnet(index)} via {fields(index)['publicIP']} dev eth0 proto {OWNER}\n")
    floor = built("floor-routes")
    return {INLINE: [floor, "inline", str(nodes)], NEXT_HOPS: [floor, "next-hops", str(nodes)],
            BATCH: ["ip", "-batch", batch]}


def repairs(listener, nodes, count):
    """Milliseconds from the loss of a route to its return, for `count` routes."""
    times = []
    for _ in range(count):
        index = random.randrange(1, nodes)
        lost = bytes([10, index >> 8, index & 255, 0])
        listener.settle()
        subprocess.check_call(["ip", "route", "del", subnet(index)])
        found = listener.until(
            lambda new: any(kind == NEW_ROUTE and subject == lost for _, kind, subject in new), "a repair")
        gone = next(when for when, kind, subject in found if kind == DEL_ROUTE and subject == lost)
        back = next(when for when, kind, subject in found if kind == NEW_ROUTE and subject == lost)
        times.append((back - gone) * 1000)
        # So that the passes of the agent do not run in step with this loop.
        time.sleep(random.uniform(0, 0.1))
    return times


def events(listener, store, nodes, count):
    """Milliseconds from a change in the store to its notification, at an even rate: nodes leave, then they return."""
    seen, stop = {}, threading.Event()

    def listen():
        while not stop.is_set():
            for when, kind, subject in listener.next(0.2):
                if kind in (NEW_ROUTE, DEL_ROUTE):
                    seen.setdefault((kind, subject), when)
    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    changed, chosen = {}, random.sample(range(1, nodes), min(count // 2, nodes - 1))
    begin = time.perf_counter()
    for position in range(2 * len(chosen)):
        time.sleep(max(0, begin + position / store.rate - time.perf_counter()))
        index, leaves = chosen[position % len(chosen)], position < len(chosen)
        moment = store.remove(index) if leaves else store.add(index)
        changed[DEL_ROUTE if leaves else NEW_ROUTE, bytes([10, index >> 8, index & 255, 0])] = moment
    deadline = time.perf_counter() + 20
    while changed.keys() - seen.keys() and time.perf_counter() < deadline:
        time.sleep(0.05)
    stop.set()
    listening.join()
    missing = changed.keys() - seen.keys()
    if missing:
        sys.exit(f"hack/bench/run: {len(missing)} of {len(changed)} changes in {store.name} did not reach the kernel")
    return [(seen[event] - when) * 1000 for event, when in changed.items()]


def bounces(listener, nodes, count):
    """Milliseconds from the return of the carrier to the last route."""
    times = []
    for _ in range(count):
        sh("ip link set far down")
        time.sleep(0.2)
        listener.settle()
        sh("ip link set far up")
        found = listener.until(counter(nodes - 1), "the routes after the carrier")
        up = next(when for when, kind, subject in found if kind == NEW_LINK and subject & LOWER_UP)
        times.append((max(when for when, kind, _ in found if kind == NEW_ROUTE) - up) * 1000)
    return times


class Part:
    def __init__(self, report, quick):
        self.report, self.quick = report, quick
        self.listener, self.medians = Listener(), {}  # nodes, rival
        self.starts = report.table("routes", "from the start of the process to the last route", [
            ("nodes", "nodes", ",d"), ("rival", "rival"), ("median", "median ms", ".1f"), ("p90", "90th ms", ".1f"),
            ("kernel_work", "1st hop to last ms", ".1f"), ("program", "CPU own", ".0f"), ("kernel", "CPU kernel", ".0f"),
            ("peak", "peak MiB", ".1f"), (INLINE, "x inline", ".2f"), (NEXT_HOPS, "x next hops", ".2f"),
            (BATCH, "x ip -batch", ".2f")])
        self.lives, self.life_rows = None, []

    def size(self, nodes, times, lives):
        """Measures all rivals in turn, with this many nodes."""
        commands = rivals(nodes)
        kept = [store(nodes) for store in STORES]
        found = {}
        try:
            for turn in range(times):
                for store in kept:
                    agent = Agent(self.listener, store, nodes)
                    found.setdefault(f"causeway, {store.name}", []).append(agent)
                    if lives and turn == times - 1:
                        self.life_rows.append(self.life(agent, store, nodes))
                    agent.stop()
                for name, command in commands.items():
                    rival = Rival(self.listener, command, nodes)
                    found.setdefault(name, []).append(rival)
                    rival.stop()
        finally:
            for store in kept:
                store.stop()
        self.rows(nodes, found)

    def rows(self, nodes, found):
        walls = {name: spread(start.wall for start in starts) for name, starts in found.items()}

        def median(starts, what):
            numbers = [getattr(start, what) for start in starts if hasattr(start, what)]
            return statistics.median(numbers) if numbers else None
        for name, starts in found.items():
            self.medians[nodes, name] = walls[name]["median"]
            ratios = {other: walls[name]["median"] / walls[other]["median"] for other in (INLINE, NEXT_HOPS, BATCH)}
            self.starts.row(nodes=nodes, rival=name, **walls[name], **ratios, **{
                what: median(starts, what) for what in ("kernel_work", "program", "kernel", "peak")})

    def life(self, agent, store, nodes):
        """The times and the use of resources of an agent after its start."""
        pid, quick = agent.process.pid, self.quick
        repaired = spread(repairs(self.listener, nodes, 5 if quick else 20))
        self.listener.settle()
        count = (20 if quick else 200) if store.rate > 10 else (6 if quick else 20)
        changed = spread(events(self.listener, store, nodes, count))
        back = spread(bounces(self.listener, nodes, 1 if quick else 3))
        self.listener.settle()
        time.sleep(1)
        before, seconds = sum(used(pid)), 2 if quick else 10
        time.sleep(seconds)
        idle = (sum(used(pid)) - before) * 1000 / seconds
        return {"nodes": nodes, "store": store.name, "repair": repaired["median"], "repair_p90": repaired["p90"],
                "event": changed["median"], "event_p90": changed["p90"], "carrier": back["median"], "idle": idle,
                "resident": memory(pid, "VmRSS"), "peak": memory(pid, "VmHWM")}

    def finish(self):
        table = self.report.table("routes", "after the start: repair of a lost route, event of the store to the kernel, "
                                  "return of the carrier to the last route", [
            ("nodes", "nodes", ",d"), ("store", "store"), ("repair", "repair ms", ".2f"), ("repair_p90", "90th ms", ".2f"),
            ("event", "event ms", ".2f"), ("event_p90", "90th ms", ".2f"), ("carrier", "carrier ms", ".0f"),
            ("idle", "idle CPU ms/s", ".2f"), ("resident", "resident MiB", ".1f"), ("peak", "peak MiB", ".1f")])
        for row in self.life_rows:
            table.row(**row)
        sizes = sorted({nodes for nodes, _ in self.medians})
        # The other stores are asked over HTTP, and the goal is for the work of the helper alone.
        if 5000 in sizes:
            self.report.goal("routes", "5,000 nodes from a file, to the floor with inline gateways",
                             self.medians[5000, "causeway, file"] / self.medians[5000, INLINE], 0.5)
        names = list(dict.fromkeys(name for _, name in self.medians))
        pictures.curves("routes-start", "from the start to the last route", "milliseconds", {
            name: {nodes: self.medians[nodes, name] for nodes in sizes} for name in names}, "nodes")
        nodes = self.life_rows[-1]["nodes"]
        largest = {row["store"]: row for row in self.life_rows if row["nodes"] == nodes}
        pictures.bars("routes-events", f"{nodes:,} nodes: until the kernel has the routes", "milliseconds", {
            what: {store: row[key] for store, row in largest.items()} for what, key in (
                ("a lost route", "repair"), ("a node added or removed", "event"), ("all, after the carrier", "carrier"))})


def measure(report, quick):
    sh("""ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up
          ip address add 172.16.0.1/12 dev eth0""")
    part = Part(report, quick)
    for nodes in (10, 1000) if quick else (10, 100, 1000, 5000, 10000):
        # The goal is for 5,000 nodes.
        times = 2 if quick else 5 if nodes == 5000 else 3
        part.size(nodes, times, lives=nodes in ((1000,) if quick else (1000, 5000)))
    part.finish()
    sh("ip link delete eth0")
