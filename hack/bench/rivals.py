"""The rivals of plugin.py: their configurations, the cost of their calls, and the nodes where they are called."""

import json
import os
import re
import subprocess
import sys

from private import HELPER, PLUGIN, REFERENCE, Node, built, sh

IPV4, DUAL, MASQUERADE, DUAL_MASQUERADE = "IPv4", "dual stack", "IPv4, ipMasq", "dual stack, ipMasq"
ADDRESSES = (IPV4, DUAL, MASQUERADE, DUAL_MASQUERADE)
# Namespaces of pods that come and go, and of pods that stay. Each of the rivals that take turns uses one of each.
PODS, STANDING = 100, 10
# The plugin with a bridge and without one.
OURS = ("causeway", "routed")
# On a node where the helper has set the routes, without a fast path and with one.
FAST_PATH, WITHOUT_IT, WITH_IT = "IPv4, the helper's node", "causeway, no fast path", "causeway, fast path"


class Rival:
    """A plugin that is compared. It has its own bridge, subnet and directory of leases."""
    made = 0

    def __init__(self, name, case, label=None, leases=0, every=1):
        Rival.made += 1
        self.number, self.name, self.label, self.every = Rival.made, name, label or name, every
        self.bridge, self.network = f"br{self.number}", f"network{self.number}"
        self.subnet, self.subnet6 = f"10.{self.number}.0.0", f"fd00:{self.number:x}::"
        self.directory = f"/run/leases/{self.network}"
        os.makedirs(self.directory)
        self.dual, self.masquerade = "dual" in case, "ipMasq" in case
        self.input = f"/run/input{self.number}"
        with open(self.input, "w") as file:
            json.dump(self.configuration(), file)
        if name == "floor":
            sh(f"""ip link add {self.bridge} type bridge && ip link set {self.bridge} up
                   ip address add 10.{self.number}.0.1/16 dev {self.bridge}
                   ip address add {self.subnet6}1/64 dev {self.bridge} nodad""")
        self.hold(leases)

    def configuration(self):
        ranges = [[{"subnet": self.subnet + "/16"}]] + ([[{"subnet": self.subnet6 + "/64"}]] if self.dual else [])
        return {
            "cniVersion": "1.0.0", "name": self.network, "type": "causeway" if self.name in OURS else "bridge",
            "bridge": self.bridge, "isGateway": True, "isDefaultGateway": True, "hairpinMode": True,
            "ipMasq": self.masquerade, "ipam": {"type": "host-local", "dataDir": "/run/leases", "ranges": ranges},
        } | ({"mode": "routed"} if self.name == "routed" else {}) | (
            {"capabilities": {"bandwidth": True}} if self.name in OURS else {})

    def hold(self, count):
        """Writes leases of earlier pods, as host-local does."""
        for index in range(2, count + 2):
            address = f"10.{self.number}.{index >> 8}.{index & 255}"
            with open(f"{self.directory}/{address}", "w") as file:
                file.write(f"held{index}\r\neth0")
        if count:
            with open(f"{self.directory}/last_reserved_ip.0", "w") as file:
                file.write(address)

    def command(self):
        if self.name in OURS:
            return [PLUGIN]
        if self.name == "reference":
            return [f"{REFERENCE}/bridge"]
        return [built("floor-plugin"), self.bridge, self.directory, self.subnet] + ([self.subnet6] if self.dual else [])

    def environment(self, verb, pod, interface="eth0"):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "CNI_PATH": REFERENCE, "CNI_IFNAME": interface, "CNI_COMMAND": verb,
                "CNI_CONTAINERID": f"{self.network}-{pod}", "CNI_NETNS": f"/run/netns/{pod}"}

    def job(self, number, verb, pod, interface="eth0"):
        environment = [f"{name}={value}" for name, value in self.environment(verb, pod, interface).items()]
        return "\t".join([str(number), self.input, *environment, "--", *self.command()])


class Result:
    """The cost of one command: milliseconds of time and of processor time, MiB of memory."""

    def __init__(self, line):
        number, index, start, end, user, system, memory, status = map(int, line.split())
        self.number, self.index, self.start, self.end, self.status = number, index, start, end, status
        self.wall, self.cpu, self.memory = (end - start) / 1e6, (user + system) / 1e3, memory / 1024


def stopwatch(jobs, node=None):
    """Runs the jobs; returns their results, in the order of the jobs, and what they printed."""
    output = "/run/output"
    if os.path.exists(output):
        os.remove(output)
    command = [built("stopwatch"), output]
    process = subprocess.run(node.command(*command) if node else command, input="".join(f"{job}\n" for job in jobs),
                             stdout=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit("hack/bench/run: the stopwatch failed")
    with open(output) as file:
        text = file.read()
    return sorted(map(Result, process.stdout.splitlines()), key=lambda result: result.index), text


def check(turns, results, text):
    """Ends the run if a call failed: its figure would not count."""
    for (rival, verb, _), result in zip(turns, results, strict=True):
        if result.status:
            sys.exit(f"hack/bench/run: {verb} of {rival.label} failed: {text}")
    adds = sum(verb == "ADD" for _, verb, _ in turns)
    if text.count('"ips"') != adds:
        sys.exit(f"hack/bench/run: of {adds} ADDs, {text.count(chr(34) + 'ips' + chr(34))} returned addresses: {text}")


def once(turns, node=None):
    """Runs one call after the other. A turn is a rival, a verb and a pod."""
    results, text = stopwatch([rival.job(index, verb, pod) for index, (rival, verb, pod) in enumerate(turns)], node)
    check(turns, results, text)
    return results


class Standing:
    """The rivals of a case. Each has a pod that stays, so that its bridge and its rules exist all the time."""

    def __init__(self, rivals):
        self.rivals = rivals

    def __enter__(self):
        once([(rival, "ADD", f"standing{index}") for index, rival in enumerate(self.rivals)])
        return self.rivals

    def __exit__(self, kind, *_):
        if kind is None:
            once([(rival, "DEL", f"standing{index}") for index, rival in enumerate(self.rivals)])
            for rival in self.rivals:
                sh(f"rm -r {rival.directory}" + (f" && ip link delete {rival.bridge}" if rival.name != "routed" else ""))


def in_turn(rivals, count):
    """The cost of ADD and DEL, {verb: {rival: results}}. All rivals take turns, and each time another one is first."""
    turns = []
    for cycle in range(count):
        first = cycle % len(rivals)
        chosen = [rival for rival in rivals[first:] + rivals[:first] if cycle % rival.every == 0]
        turns += [(rival, verb, f"pod{rivals.index(rival)}") for verb in ("ADD", "DEL") for rival in chosen]
    found = {verb: {rival: [] for rival in rivals} for verb in ("ADD", "DEL")}
    for (rival, verb, _), result in zip(turns, once(turns)):
        found[verb][rival].append(result)
    return found


class RivalNode:
    """A node for one rival alone."""

    def __init__(self, rival, name):
        self.rival, self.node = rival, Node(name)

    def cycle(self):
        return once([(self.rival, "ADD", "pod"), (self.rival, "DEL", "pod")], self.node)


class RoutedNode(RivalNode):
    """A node with this many routed pods that stay."""
    # Pods that are interfaces of one namespace, whose limit is 32. A namespace for each would cost more than its pod.
    SHARING = 30

    def __init__(self, pods):
        super().__init__(Rival("routed", IPV4, f"routed {pods}"), f"crowd-{pods}")
        holders = -(-pods // RoutedNode.SHARING)
        self.node.sh(f"ip netns add pod; for pod in $(seq 0 {holders - 1}); do ip netns add crowd$pod; done")
        results, text = stopwatch([
            self.rival.job(index, "ADD", f"crowd{index // RoutedNode.SHARING}", f"eth{index % RoutedNode.SHARING}")
            for index in range(pods)], self.node)
        if any(result.status for result in results):
            sys.exit(f"hack/bench/run: ADD of {pods} pods without a bridge failed: {text[-300:]}")
        found = self.node.sh("ip route show proto 203 | wc -l")
        if int(found) != pods:
            sys.exit(f"hack/bench/run: {pods} pods without a bridge have {int(found)} routes")


class HelperNode(RivalNode):
    """A node with one other node beside it, the helper's routes to that node, and a pod that stays."""

    def __init__(self, label, *options):
        super().__init__(Rival("causeway", IPV4, label), "node-1")
        self.node.sh("""ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up
                        ip address add 192.0.2.1/24 dev eth0 && ip netns add pod && ip netns add standing""")
        nodes = [{"name": f"node-{number}", "publicIP": f"192.0.2.{number}", "subnet": subnet}
                 for number, subnet in ((1, self.rival.subnet + "/16"), (2, "10.200.0.0/16"))]
        self.node.run("sh", "-c", "cat >/run/node/nodes.json", input=json.dumps(
            {"network": {"Network": "10.0.0.0/8"}, "nodes": nodes}).encode())
        self.node.run(HELPER, "sync", "--nodes-file", "/run/node/nodes.json", "--node-name", "node-1", *options)
        # As if no agent had ever run here: ADD would report that it is gone.
        self.node.sh("rm /run/causeway/agent.lock")
        once([(self.rival, "ADD", "standing")], self.node)

    def check(self, wanted):
        """Ends the run unless this many of two pods have the programs of the fast path."""
        once([(self.rival, "ADD", "pod")], self.node)
        found = self.node.sh("""for link in $(ip -br link show type veth | cut -d@ -f1); do
                                  tc filter show dev $link ingress; done""").decode()
        once([(self.rival, "DEL", "pod")], self.node)
        if found.count("name from_pod") != wanted:
            sys.exit(f"hack/bench/run: of two pods on a node {found.count('name from_pod')} have the fast path, not {wanted}")


def nodes_in_turn(nodes, count):
    """The cost of ADD and DEL as `in_turn` returns it, for rivals that have a node each."""
    found = {verb: {node.rival: [] for node in nodes} for verb in ("ADD", "DEL")}
    for cycle in range(count):
        for node in nodes[::-1] if cycle % 2 else nodes:
            for verb, result in zip(("ADD", "DEL"), node.cycle(), strict=True):
                found[verb][node.rival].append(result)
    return found


def traced(rival, verb, pod, node=None):
    """The number of programs that a call executes beside its own, and of its system calls."""
    trace = "/run/trace"
    command = ["strace", "-f", "-qq", "-o", trace, *rival.command()]
    with open(rival.input) as file:
        process = subprocess.run(node.command(*command) if node else command, stdin=file, text=True,
                                 stdout=subprocess.PIPE, env=rival.environment(verb, pod))
    if process.returncode:
        sys.exit(f"hack/bench/run: {verb} of {rival.name} failed under strace: {process.stdout}")
    executions = calls = 0
    with open(trace, errors="replace") as file:
        for line in file:
            what = line.split(None, 1)[1]
            if re.match(r"[a-z_0-9]+\(", what):
                calls += 1
            # An execve that did not find its program is not counted.
            executions += bool(re.match(r"(execve\(|<\.\.\. execve resumed>).* = 0$", what))
    return executions - 1, calls
