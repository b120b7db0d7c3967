"""Pod to pod across two nodes, by each way of making the path (paths.py), against node to node."""

import json
import subprocess
import sys
import time

import paths
import pictures
from private import REFERENCE, built
from report import say, spread

TOOLS = ("gcc", "iperf3", REFERENCE + "/bridge")
PORT = "5202"
# Those that leave out or put in one thing, and the plugin's usual way over the helper's plain routes that they do it to.
FAST, FAST_NODES, WITHOUT_IT = "fast path", "fast path, its nodes", "causeway, helper's --ip-masq"
BRIDGES = {"routed": "causeway", "vxlan": "causeway", FAST: WITHOUT_IT, "fast path, by sight": WITHOUT_IT,
           "fast path, routed": WITHOUT_IT}
# By so much two equal paths may differ.
NOISE = 0.03


def busy():
    """Seconds that this machine's processors have worked."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / 100  # USER_HZ


class Ends:
    """One way, with servers that listen at its far end."""

    def __init__(self, name, way, traffic):
        self.name, self.way, self.traffic = name, way, traffic
        self.servers = [self.serve("iperf3", "-s", "-p", "5201"), self.serve(traffic, "echo", "5203")]
        self.until_ready(self.servers[1])
        # iperf3 tells nobody that it listens; and neighbours learn of each other.
        for _ in range(100):
            if self.tcp("1", "-n", "1M"):
                break
            time.sleep(0.1)
        else:
            sys.exit(f"hack/bench/run: {name}: iperf3 does not reach {way.address}")
        # Each measure as it will be made, and in good time before it takes minutes.
        self.packets(0.2)
        self.round_trip(0.2)
        self.way.check()

    def serve(self, *command):
        return subprocess.Popen(self.way.server(*command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def until_ready(self, server):
        if server.stdout.readline() != b"ready\n":
            sys.exit(f"hack/bench/run: {self.name}: nothing listens at the far end")

    def ask(self, *command):
        return subprocess.run(self.way.client(*command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def tcp(self, streams, *length):
        """What iperf3 tells of a run, `None` where there was none."""
        process = self.ask("iperf3", "-J", "-c", self.way.address, "-p", "5201", "-P", streams, "--connect-timeout", "500",
                           *length)
        found = json.loads(process.stdout) if process.stdout else {}
        return None if process.returncode or "error" in found else found["end"]["sum_received"]

    def streams(self, count, seconds):
        """Gbit/s, and processor seconds of the whole machine for each gigabyte."""
        before = busy()
        received = self.tcp(count, "-t", str(seconds))
        if not received:
            sys.exit(f"hack/bench/run: {self.name}: iperf3 failed")
        return received["bits_per_second"] / 1e9, (busy() - before) / (received["bytes"] / 1e9)

    def packets(self, seconds):
        """Thousands a second that arrive."""
        sink = self.serve(self.traffic, "sink", PORT, str(seconds))
        self.until_ready(sink)
        # Longer than the sink counts: it begins with the first that comes.
        self.ask(self.traffic, "flood", self.way.address, PORT, str(seconds + 0.3), "64")
        count, nanoseconds = map(int, sink.communicate(timeout=30)[0].split())
        return count / nanoseconds * 1e6

    def round_trip(self, seconds):
        """Microseconds: median, 99th percentile."""
        process = self.ask(self.traffic, "ask", self.way.address, "5203", str(seconds))
        if process.returncode:
            sys.exit(f"hack/bench/run: {self.name}: no answer over UDP")
        _, median, ninety_ninth = map(int, process.stdout.split())
        return median / 1e3, ninety_ninth / 1e3

    def stop(self):
        for server in self.servers:
            server.kill()
            server.wait()
        self.way.stop()


class Measure:
    def __init__(self, title, unit, more_is_better, key):
        self.title, self.unit, self.more_is_better, self.key = title, unit, more_is_better, key


TCP, TCP_CPU = Measure("TCP, one stream", "Gbit/s", True, "tcp"), Measure("TCP, one stream, CPU", "s/GB", False, "tcp-cpu")
TCP8, TCP8_CPU = Measure("TCP, 8 streams", "Gbit/s", True, "tcp8"), Measure("TCP, 8 streams, CPU", "s/GB", False, "tcp8-cpu")
UDP = Measure("UDP, 64 bytes", "kpackets/s", True, "udp")
TRIP, TRIP99 = Measure("UDP, there and back", "us", False, "trip"), Measure("UDP, there and back, 99th", "us", False, "trip99")
MEASURES = (TCP, TCP_CPU, TCP8, TCP8_CPU, UDP, TRIP, TRIP99)


def samples(ends, quick):
    """{measure: {way: numbers}}: all ways in turn, each time another one first."""
    found = {measure: {end.name: [] for end in ends} for measure in MEASURES}
    # iperf3 counts whole seconds.
    streams, packets, trips = (1, 0.5, 0.5) if quick else (2, 1, 1)
    for turn in range(1 if quick else 5):
        order = ends[turn % len(ends):] + ends[:turn % len(ends)]
        for count, speed, cpu in (("1", TCP, TCP_CPU), ("8", TCP8, TCP8_CPU)):
            for end in order:
                gigabits, seconds = end.streams(count, streams)
                found[speed][end.name].append(gigabits)
                found[cpu][end.name].append(seconds)
        for end in order:
            found[UDP][end.name].append(end.packets(packets))
        for end in order:
            median, ninety_ninth = end.round_trip(trips)
            found[TRIP][end.name].append(median)
            found[TRIP99][end.name].append(ninety_ninth)
    return found


def tell(report, found):
    table = report.table("data-path", "pod to pod across two nodes on one cable", [
        ("what", "what"), ("unit", "unit"), ("way", "way"), ("median", "median", ".2f"), ("p90", "90th", ".2f"),
        ("limit", "x node to node", ".2f"), ("reference", "x reference", ".2f"), ("bridge", "x bridge", ".2f")], {"what": 26})
    medians = {}
    for measure, ways in found.items():
        spreads = {name: spread(numbers) for name, numbers in ways.items()}
        medians[measure] = {name: values["median"] for name, values in spreads.items()}
        for name, values in spreads.items():
            rival = paths.RIVALS.get(name)
            table.row(what=measure.title, unit=measure.unit, way=name, **values,
                      limit=values["median"] / medians[measure][paths.LIMIT],
                      reference=values["median"] / medians[measure][rival] if rival else None,
                      bridge=values["median"] / medians[measure][BRIDGES[name]] if name in BRIDGES else None)
    for name in ("causeway", "causeway, ipMasq"):
        rival = paths.RIVALS[name]
        for measure in (TCP, TCP8, UDP, TRIP, TCP_CPU):
            ratio = medians[measure][name] / medians[measure][rival]
            report.goal("data-path", f"{measure.title}: {name}, to {rival}", ratio,
                        1 - NOISE if measure.more_is_better else 1 + NOISE, at_least=measure.more_is_better)
    if FAST in medians[UDP]:
        for measure, other, limit in ((UDP, paths.LIMIT, 0.8), (TCP, paths.LIMIT, 0.95), (TCP_CPU, paths.LIMIT, 1.15),
                                      (UDP, FAST_NODES, 0.8), (TCP, FAST_NODES, 0.95), (UDP, WITHOUT_IT, 1.4)):
            report.goal("data-path", f"{measure.title}: {FAST}, to {other}", medians[measure][FAST] / medians[measure][other],
                        limit, at_least=measure.more_is_better)
    pictures.bars("data-path-tcp", "TCP, pod to pod across two nodes", "Gbit/s", {
        measure.title: medians[measure] for measure in (TCP, TCP8)})
    pictures.bars("data-path-udp", "UDP of 64 bytes, pod to pod across two nodes", "kpackets/s", {UDP.title: medians[UDP]})
    pictures.bars("data-path-trip", "a question and its answer over UDP", "microseconds", {
        "median": medians[TRIP], "99th percentile": medians[TRIP99]})
    pictures.bars("data-path-cpu", "the machine's work for a gigabyte over TCP", "processor seconds", {
        "one stream": medians[TCP_CPU], "8 streams": medians[TCP8_CPU]})


def measure(report, quick):
    traffic = built("traffic")
    ways = dict(paths.WAYS)
    for name, (what, is_there) in paths.NEEDS.items():
        if not is_there():
            say(f"data-path: {name} is left out: it needs {what}")
            del ways[name]
    # All of them are there from the beginning to the end, so that they can take turns.
    ends = [Ends(name, make(), traffic) for name, make in ways.items()]
    found = samples(ends, quick)
    for end in ends:
        end.way.check()
        end.stop()
    tell(report, found)
