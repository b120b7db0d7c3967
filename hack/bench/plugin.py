"""ADD and DEL of the plugin against the floor (floor-plugin.c) and the reference plugins bridge and host-local, 1.1.1."""

import json
import os
import re
import subprocess
import sys

import paths
import pictures
from private import HELPER, PLUGIN, REFERENCE, Node, built, sh
from report import say, spread

TOOLS = ("gcc", "strace", "iptables-nft-restore", "nft", REFERENCE + "/bridge")
IPV4, DUAL, MASQUERADE, DUAL_MASQUERADE = "IPv4", "dual stack", "IPv4, ipMasq", "dual stack, ipMasq"
ADDRESSES = (IPV4, DUAL, MASQUERADE, DUAL_MASQUERADE)
# As many namespaces of pods are made; rivals that take turns have one each, behind them those of pods that stay.
PODS, STANDING = 100, 10
# The plugin with and without a bridge.
OURS = ("causeway", "routed")
# On a node that the helper has given its routes, without a fast path and with one.
FAST_PATH, WITHOUT_IT, WITH_IT = "IPv4, the helper's node", "causeway, no fast path", "causeway, fast path"


class Rival:
    """One of those that are compared, with a bridge, a subnet and a directory of leases of its own."""
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
        """Leases of pods that came before, as host-local writes them."""
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
    """What one command cost."""

    def __init__(self, line):
        number, index, start, end, user, system, memory, status = map(int, line.split())
        self.number, self.index, self.start, self.end, self.status = number, index, start, end, status
        self.wall, self.cpu, self.memory = (end - start) / 1e6, (user + system) / 1e3, memory / 1024


def stopwatch(jobs, node=None):
    """The results of the jobs, in the order of the jobs, and what they printed."""
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
    """Nothing counts that did not do its work."""
    for (rival, verb, _), result in zip(turns, results, strict=True):
        if result.status:
            sys.exit(f"hack/bench/run: {verb} of {rival.label} failed: {text}")
    adds = sum(verb == "ADD" for _, verb, _ in turns)
    if text.count('"ips"') != adds:
        sys.exit(f"hack/bench/run: of {adds} ADDs, {text.count(chr(34) + 'ips' + chr(34))} tell of addresses: {text}")


def once(turns, node=None):
    """One after the other: each turn is a rival, a verb and a pod."""
    results, text = stopwatch([rival.job(index, verb, pod) for index, (rival, verb, pod) in enumerate(turns)], node)
    check(turns, results, text)
    return results


class Standing:
    """The rivals of a case, each with a pod that stays meanwhile, so that its bridge and its rules are there."""

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
    """What ADD and DEL of each cost, {verb: {rival: results}}: all in turn, each time another one first."""
    turns = []
    for cycle in range(count):
        first = cycle % len(rivals)
        those = [rival for rival in rivals[first:] + rivals[:first] if cycle % rival.every == 0]
        turns += [(rival, verb, f"pod{rivals.index(rival)}") for verb in ("ADD", "DEL") for rival in those]
    found = {verb: {rival: [] for rival in rivals} for verb in ("ADD", "DEL")}
    for (rival, verb, _), result in zip(turns, once(turns)):
        found[verb][rival].append(result)
    return found


class Crowd:
    """A node of its own, with so many pods without a bridge that stay."""
    # Interfaces in one namespace, which may have 32: a namespace for each would cost more than its pod.
    SHARING = 30

    def __init__(self, pods):
        self.rival, self.node = Rival("routed", IPV4, f"routed {pods}"), Node(f"crowd-{pods}")
        holders = -(-pods // Crowd.SHARING)
        self.node.sh(f"ip netns add pod; for pod in $(seq 0 {holders - 1}); do ip netns add crowd$pod; done")
        results, text = stopwatch([
            self.rival.job(index, "ADD", f"crowd{index // Crowd.SHARING}", f"eth{index % Crowd.SHARING}")
            for index in range(pods)], self.node)
        if any(result.status for result in results):
            sys.exit(f"hack/bench/run: ADD of {pods} pods without a bridge failed: {text[-300:]}")
        found = self.node.sh("ip route show proto 203 | wc -l")
        if int(found) != pods:
            sys.exit(f"hack/bench/run: {pods} pods without a bridge have {int(found)} routes")

    def cycle(self):
        return once([(self.rival, "ADD", "pod"), (self.rival, "DEL", "pod")], self.node)


class Neighbour:
    """A node of its own, with another one beside it and the helper's routes there, and a pod that stays."""

    def __init__(self, label, *options):
        self.rival, self.node = Rival("causeway", IPV4, label), Node("node-1")
        self.node.sh("""ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up
                        ip address add 192.0.2.1/24 dev eth0 && ip netns add pod && ip netns add standing""")
        nodes = [{"name": f"node-{number}", "publicIP": f"192.0.2.{number}", "subnet": subnet}
                 for number, subnet in ((1, self.rival.subnet + "/16"), (2, "10.200.0.0/16"))]
        self.node.run("sh", "-c", "cat >/run/node/nodes.json", input=json.dumps(
            {"network": {"Network": "10.0.0.0/8"}, "nodes": nodes}).encode())
        self.node.run(HELPER, "sync", "--nodes-file", "/run/node/nodes.json", "--node-name", "node-1", *options)
        # No agent has been here, so that no ADD says that it is gone.
        self.node.sh("rm /run/causeway/agent.lock")
        once([(self.rival, "ADD", "standing")], self.node)

    def cycle(self):
        return once([(self.rival, "ADD", "pod"), (self.rival, "DEL", "pod")], self.node)

    def check(self, wanted):
        """Whether its pods have the fast path, and not only none of its errors."""
        once([(self.rival, "ADD", "pod")], self.node)
        found = self.node.sh("""for link in $(ip -br link show type veth | cut -d@ -f1); do
                                  tc filter show dev $link ingress; done""").decode()
        once([(self.rival, "DEL", "pod")], self.node)
        if found.count("name from_pod") != wanted:
            sys.exit(f"hack/bench/run: of two pods on a node {found.count('name from_pod')} have the fast path, not {wanted}")


class Part:
    """Collects what the goals and the pictures are made of."""

    def __init__(self, report, quick):
        self.report, self.quick = report, quick
        self.memory, self.executions = 0.0, 0
        self.medians = {}  # verb, case, rival's label
        self.table = report.table("plugin", "one pod at a time, the whole process from outside", [
            ("case", "case"), ("verb", "verb"), ("rival", "rival"), ("median", "median ms", ".2f"), ("p90", "90th ms", ".2f"),
            ("cpu", "CPU ms", ".2f"), ("memory", "peak MiB", ".1f"), ("floor", "x floor", ".2f"),
            ("reference", "x reference", ".3f"), ("causeway", "x bridge", ".3f"),
            (WITHOUT_IT, "x without", ".3f")], {"rival": 22})

    def compare(self, case, names, chains=""):
        count = 6 if self.quick else 40
        case_and_chains = case + chains
        rivals = [Rival(name, case) for name in names]
        with Standing(rivals):
            self.rows(case_and_chains, in_turn(rivals, count))

    def rows(self, case, found):
        for verb, of_rivals in found.items():
            walls = {rival.label: spread(result.wall for result in results) for rival, results in of_rivals.items()}
            for rival, results in of_rivals.items():
                median = walls[rival.label]["median"]
                memory = max(result.memory for result in results)
                if rival.name in OURS:
                    self.memory = max(self.memory, memory)
                self.medians[verb, case, rival.label] = median
                others = ("floor", "reference") + (("causeway",) if rival.name == "routed" else ()) + (
                    (WITHOUT_IT,) if rival.label == WITH_IT else ())
                ratios = {other: median / walls[other]["median"] for other in others if other in walls}
                self.table.row(case=case, verb=verb, rival=rival.label, **walls[rival.label],
                               cpu=spread(result.cpu for result in results)["median"], memory=memory, **ratios)

    def addresses(self):
        for case in ADDRESSES:
            self.compare(case, [*OURS, "reference"] + ([] if "ipMasq" in case else ["floor"]))

    def chains(self):
        """As kube-proxy has them, in the table that iptables shares with all its users."""
        names = "".join(f":KUBE-SVC-{index:016} - [0:0]\n" for index in range(1000))
        for restore in ("iptables-nft-restore", "ip6tables-nft-restore"):
            subprocess.run([restore, "--noflush"], input=f"*nat\n{names}COMMIT\n", text=True, check=True)
        for case in (MASQUERADE, DUAL_MASQUERADE)[:1 if self.quick else 2]:
            self.compare(case, ["causeway", "reference"], ", 1,000 foreign chains")
        sh("nft flush ruleset")

    def leases(self):
        counts = (0, 60000) if self.quick else (0, 1000, 4000, 60000)
        rivals = [Rival("causeway", IPV4, f"causeway {held}", held) for held in counts]
        # It reads every lease at each ADD.
        rivals += [Rival("reference", IPV4, f"reference {held}", held, 4 if held <= 4000 else 20)
                   for held in ((4000,) if self.quick else counts)]
        rivals.append(Rival("floor", IPV4))
        with Standing(rivals):
            self.rows("IPv4, leases held", in_turn(rivals, 6 if self.quick else 40))
        self.held = counts

    def crowds_without_bridge(self):
        """Two nodes in turn, in the same minute: one with none, one with more than a bridge has room for."""
        self.routed_pods = 200 if self.quick else 1500
        nodes = [Crowd(0), Crowd(self.routed_pods)]
        found = {verb: {crowd.rival: [] for crowd in nodes} for verb in ("ADD", "DEL")}
        for cycle in range(6 if self.quick else 40):
            for crowd in nodes[::-1] if cycle % 2 else nodes:
                for verb, result in zip(("ADD", "DEL"), crowd.cycle(), strict=True):
                    found[verb][crowd.rival].append(result)
        self.rows("IPv4, routed pods there", found)
        for crowd in nodes:
            crowd.node.stop()

    def fast_path(self):
        """Two nodes in turn, in the same minute."""
        self.neighbours = []
        if not paths.has_fast_path():
            say("plugin: the fast path is left out: it needs a kernel that takes its programs")
            return
        self.neighbours = [Neighbour(WITHOUT_IT), Neighbour(WITH_IT, "--fast-path", "on")]
        for neighbour, wanted in zip(self.neighbours, (0, 2), strict=True):
            neighbour.check(wanted)
        found = {verb: {neighbour.rival: [] for neighbour in self.neighbours} for verb in ("ADD", "DEL")}
        for cycle in range(6 if self.quick else 80):
            for neighbour in self.neighbours[::-1] if cycle % 2 else self.neighbours:
                for verb, result in zip(("ADD", "DEL"), neighbour.cycle(), strict=True):
                    found[verb][neighbour.rival].append(result)
        self.rows(FAST_PATH, found)

    def work(self):
        """Counted, not timed."""
        table = self.report.table("plugin", "what one call makes the kernel do", [
            ("case", "case"), ("verb", "verb"), ("rival", "rival"), ("executions", "executions", "d"),
            ("calls", "system calls", "d")], {"rival": 22})
        for case in ADDRESSES:
            names = [*OURS, "reference"] + ([] if "ipMasq" in case else ["floor"])
            with Standing([Rival(name, case) for name in names]) as rivals:
                for verb in ("ADD", "DEL"):
                    for pod, rival in enumerate(rivals):
                        executions, calls = traced(rival, verb, f"pod{pod}")
                        if rival.name in OURS and verb == "ADD":
                            self.executions = max(self.executions, executions)
                        table.row(case=case, verb=verb, rival=rival.name, executions=executions, calls=calls)
        for neighbour in self.neighbours:
            for verb in ("ADD", "DEL"):
                executions, calls = traced(neighbour.rival, verb, "pod", neighbour.node)
                self.executions = max(self.executions, executions)
                table.row(case=FAST_PATH, verb=verb, rival=neighbour.rival.label, executions=executions, calls=calls)
            neighbour.node.stop()

    def at_once(self):
        table = self.report.table("plugin", "pods at once, until the last one is done", [
            ("case", "case"), ("verb", "verb"), ("pods", "pods", "d"), ("rival", "rival"), ("median", "median ms", ".1f"),
            ("p90", "90th ms", ".1f"), ("failed", "failed", "d"), ("floor", "x floor", ".2f"),
            ("reference", "x reference", ".3f")])
        self.crowds = {}  # pods, rival: milliseconds
        plans = [(IPV4, 1), (IPV4, 16)] if self.quick else [(IPV4, 1), (IPV4, 16), (IPV4, 100), (MASQUERADE, 16)]
        for case, pods in plans:
            names = ["causeway", "reference"] + ([] if "ipMasq" in case else ["floor"])
            with Standing([Rival(name, case) for name in names]) as rivals:
                self.crowd(table, case, pods, rivals)

    def crowd(self, table, case, pods, rivals):
        walls = {verb: {rival.name: [] for rival in rivals} for verb in ("ADD", "DEL")}
        failed = {verb: {rival.name: 0 for rival in rivals} for verb in ("ADD", "DEL")}
        for _ in range(2 if self.quick else 5):
            for rival in rivals:
                for verb in ("ADD", "DEL"):
                    results, text = stopwatch([rival.job(0, verb, f"pod{index}") for index in range(pods)])
                    bad = sum(result.status != 0 for result in results)
                    # The reference may fail where many come at once.
                    if bad and rival.name != "reference":
                        sys.exit(f"hack/bench/run: {bad} of {pods} at once failed, {verb} of {rival.name}: {text}")
                    failed[verb][rival.name] += bad
                    wall = max(result.end for result in results) - min(result.start for result in results)
                    walls[verb][rival.name].append(wall / 1e6)
        for verb, of_rivals in walls.items():
            spreads = {name: spread(samples) for name, samples in of_rivals.items()}
            for name, values in spreads.items():
                if verb == "ADD" and case == IPV4:
                    self.crowds[pods, name] = values["median"]
                ratios = {other: values["median"] / spreads[other]["median"]
                          for other in ("floor", "reference") if other in spreads}
                table.row(case=case, verb=verb, pods=pods, rival=name, failed=failed[verb][name], **values, **ratios)

    def goals(self):
        def ratio(verb, case, other, name="causeway"):
            return self.medians[verb, case, name] / self.medians[verb, case, other]

        def goal(text, got, limit):
            self.report.goal("plugin", text, got, limit)
        goal("ADD, IPv4, to the floor", ratio("ADD", IPV4, "floor"), 1.4)
        goal("ADD, IPv4, to the reference", ratio("ADD", IPV4, "reference"), 0.20)
        goal("ADD, ipMasq, to the reference", ratio("ADD", MASQUERADE, "reference"), 0.10)
        goal("ADD, dual stack and ipMasq, to the reference", ratio("ADD", DUAL_MASQUERADE, "reference"), 0.08)
        held = [self.medians["ADD", "IPv4, leases held", f"causeway {count}"] for count in self.held]
        goal(f"ADD, {self.held[-1]:,} leases held, to none", held[-1] / held[0], 1.1)
        if not self.quick:
            goal("100 ADDs at once, to the floor", self.crowds[100, "causeway"] / self.crowds[100, "floor"], 1.5)
        goal("DEL, IPv4, to the reference", ratio("DEL", IPV4, "reference"), 0.15)
        goal("DEL, ipMasq, to the reference", ratio("DEL", MASQUERADE, "reference"), 0.05)
        # It makes less; the rest is noise.
        for verb in ("ADD", "DEL"):
            for case in (IPV4, DUAL_MASQUERADE):
                goal(f"{verb}, {case}, routed to bridge", ratio(verb, case, "causeway", "routed"), 1.05)
        crowds = [self.medians["ADD", "IPv4, routed pods there", f"routed {count}"] for count in (0, self.routed_pods)]
        goal(f"ADD, {self.routed_pods:,} routed pods there, to none", crowds[1] / crowds[0], 1.1)
        if self.neighbours:
            without, with_it = (self.medians["ADD", FAST_PATH, label] for label in (WITHOUT_IT, WITH_IT))
            goal("ADD, fast path, ms more than without", with_it - without, 0.3)
        goal("peak memory, MiB", self.memory, 8)
        goal("executions for an ADD", self.executions, 0)

    def draw(self):
        for verb in ("ADD", "DEL"):
            pictures.bars(f"plugin-{verb.lower()}", f"{verb} of a pod", "milliseconds", {
                case: {name: self.medians[verb, case, name] for name in ("floor", *OURS, "reference")
                       if (verb, case, name) in self.medians} for case in ADDRESSES})
        lines = {}
        for (verb, case, label), median in self.medians.items():
            name, *count = label.split()
            if verb == "ADD" and case == "IPv4, leases held" and count:
                lines.setdefault(name, {})[int(count[0])] = median
        pictures.curves("plugin-leases", "ADD of a pod on a node that has some", "milliseconds", lines, "leases held")
        pictures.curves("plugin-at-once", "ADDs at once, until the last is done", "milliseconds", {
            name: {pods: wall for (pods, other), wall in self.crowds.items() if other == name}
            for name in ("floor", "causeway", "reference")}, "pods")


def traced(rival, verb, pod, node=None):
    """Further programs that are executed, and system calls."""
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
            # One that did not find its program is none.
            executions += bool(re.match(r"(execve\(|<\.\.\. execve resumed>).* = 0$", what))
    return executions - 1, calls


def measure(report, quick):
    os.mkdir("/run/leases")
    sh(f"""for pod in $(seq 0 {PODS - 1}); do ip netns add pod$pod; done
           for pod in $(seq 0 {STANDING - 1}); do ip netns add standing$pod; done""")
    part = Part(report, quick)
    part.addresses()
    part.chains()
    part.leases()
    part.crowds_without_bridge()
    part.at_once()
    part.fast_path()
    part.work()
    part.goals()
    part.draw()
    sh("for pod in $(ip netns list | cut -d' ' -f1); do ip netns delete $pod; done")
