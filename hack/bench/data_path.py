"""Pod to pod across two nodes, by each path of paths.py, against node to node."""

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
# Paths that differ from another path of the plugin in one thing, and that other path.
FAST, FAST_NODES, WITHOUT_IT = "fast path", "fast path, its nodes", "causeway, helper's --ip-masq"
BRIDGES = {"routed": "causeway", "vxlan": "causeway", FAST: WITHOUT_IT, "fast path, by sight": WITHOUT_IT,
           "fast path, routed": WITHOUT_IT}
# The difference of two equal paths, as a share.
NOISE = 0.03


def busy():
    """Seconds of work of this machine's processors."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, *_ = map(int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / 100  # USER_HZ


class Ends:
    """The two ends of a path, with servers at the far end."""

    def __init__(self, name, path, traffic):
        self.name, self.path, self.traffic = name, path, traffic
        self.servers = [self.serve("iperf3", "-s", "-p", "5201"), self.serve(traffic, "echo", "5203")]
        self.until_ready(self.servers[1])
        # iperf3 does not report that it listens, and neighbours must resolve each other.
        for _ in range(100):
            if self.tcp("1", "-n", "1M"):
                break
            time.sleep(0.1)
        else:
            sys.exit(f"hack/bench/run: {name}: iperf3 does not reach {path.address}")
        # A short run of each measurement shows a broken path before the minutes of the real one.
        self.packets(0.2)
        self.round_trip(0.2)
        self.path.check()

    def serve(self, *command):
        return subprocess.Popen(self.path.server(*command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def until_ready(self, server):
        if server.stdout.readline() != b"ready\n":
            sys.exit(f"hack/bench/run: {self.name}: nothing listens at the far end")

    def ask(self, *command):
        return subprocess.run(self.path.client(*command), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def tcp(self, streams, *length):
        """The result of a run of iperf3; `None` if it failed."""
        process = self.ask("iperf3", "-J", "-c", self.path.address, "-p", "5201", "-P", streams,
                           "--connect-timeout", "500", *length)
        found = json.loads(process.stdout) if process.stdout else {}
        return None if process.returncode or "error" in found else found["end"]["sum_received"]

    def streams(self, count, seconds):
        """Gbit/s, and processor seconds of the whole machine for a gigabyte."""
        before = busy()
        received = self.tcp(count, "-t", str(seconds))
        if not received:
            sys.exit(f"hack/bench/run: {self.name}: iperf3 failed")
        return received["bits_per_second"] / 1e9, (busy() - before) / (received["bytes"] / 1e9)

    def packets(self, seconds):
        """Thousands of packets that arrive in a second."""
        sink = self.serve(self.traffic, "sink", PORT, str(seconds))
        self.until_ready(sink)
        # Longer than the sink counts, because the sink begins with the first packet.
        self.ask(self.traffic, "flood", self.path.address, PORT, str(seconds + 0.3), "64")
        count, nanoseconds = map(int, sink.communicate(timeout=30)[0].split())
        return count / nanoseconds * 1e6

    def round_trip(self, seconds):
        """Median and 99th percentile in microseconds."""
        process = self.ask(self.traffic, "ask", self.path.address, "5203", str(seconds))
        if process.returncode:
            sys.exit(f"hack/bench/run: {self.name}: no reply over UDP")
        _, median, ninety_ninth = map(int, process.stdout.split())
        return median / 1e3, ninety_ninth / 1e3

    def stop(self):
        for server in self.servers:
            server.kill()
            server.wait()
        self.path.stop()


class Measure:
    def __init__(self, title, unit, more_is_better, key):
        self.title, self.unit, self.more_is_better, self.key = title, unit, more_is_better, key


TCP = Measure("TCP, one stream", "Gbit/s", True, "tcp")
TCP_CPU = Measure("TCP, one stream, CPU", "s/GB", False, "tcp-cpu")
TCP8 = Measure("TCP, 8 streams", "Gbit/s", True, "tcp8")
TCP8_CPU = Measure("TCP, 8 streams, CPU", "s/GB", False, "tcp8-cpu")
UDP = Measure("UDP, 64 bytes", "kpackets/s", True, "udp")
TRIP = Measure("UDP, round trip", "us", False, "trip")
TRIP99 = Measure("UDP, round trip, 99th", "us", False, "trip99")
MEASURES = (TCP, TCP_CPU, TCP8, TCP8_CPU, UDP, TRIP, TRIP99)


def samples(ends, quick):
    """{measure: {path: numbers}}. All paths take turns, and each time another one is first."""
    found = {measure: {end.name: [] for end in ends} for measure in MEASURES}
    # iperf3 takes whole seconds.
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


def show(report, found):
    table = report.table("data-path", "pod to pod across two nodes", [
        ("what", "what"), ("unit", "unit"), ("path", "path"), ("median", "median", ".2f"), ("p90", "90th", ".2f"),
        ("limit", "x node to node", ".2f"), ("reference", "x reference", ".2f"), ("bridge", "x bridge", ".2f")],
        {"what": 26})
    medians = {}
    for measure, by_path in found.items():
        spreads = {name: spread(numbers) for name, numbers in by_path.items()}
        medians[measure] = {name: values["median"] for name, values in spreads.items()}
        for name, values in spreads.items():
            rival = paths.RIVALS.get(name)
            table.row(what=measure.title, unit=measure.unit, path=name, **values,
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
            report.goal("data-path", f"{measure.title}: {FAST}, to {other}",
                        medians[measure][FAST] / medians[measure][other], limit, at_least=measure.more_is_better)
    pictures.bars("data-path-tcp", "TCP, pod to pod across two nodes", "Gbit/s", {
        measure.title: medians[measure] for measure in (TCP, TCP8)})
    pictures.bars("data-path-udp", "UDP of 64 bytes, pod to pod across two nodes", "kpackets/s", {
        UDP.title: medians[UDP]})
    pictures.bars("data-path-trip", "a request and its reply over UDP", "microseconds", {
        "median": medians[TRIP], "99th percentile": medians[TRIP99]})
    pictures.bars("data-path-cpu", "work of the machine for a gigabyte over TCP", "processor seconds", {
        "one stream": medians[TCP_CPU], "8 streams": medians[TCP8_CPU]})


def measure(report, quick):
    traffic = built("traffic")
    measured = dict(paths.PATHS)
    for name, (what, is_there) in paths.NEEDS.items():
        if not is_there():
            say(f"data-path: {name} is left out: it needs {what}")
            del measured[name]
    # All paths exist from the beginning to the end, so that they can take turns.
    ends = [Ends(name, make(), traffic) for name, make in measured.items()]
    found = samples(ends, quick)
    for end in ends:
        end.path.check()
        end.stop()
    show(report, found)
