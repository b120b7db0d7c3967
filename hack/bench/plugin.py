"""ADD and DEL of the plugin against the floor (floor-plugin.c) and the reference plugins bridge and host-local, 1.1.1."""

import os
import subprocess
import sys

import paths
import pictures
from private import REFERENCE, sh
from report import say, spread
from rivals import (
    ADDRESSES, DUAL_MASQUERADE, FAST_PATH, IPV4, MASQUERADE, OURS, PODS, STANDING, WITH_IT, WITHOUT_IT, HelperNode, Rival,
    RoutedNode, Standing, in_turn, nodes_in_turn, stopwatch, traced)

TOOLS = ("gcc", "strace", "iptables-nft-restore", "nft", REFERENCE + "/bridge")


class Part:
    """The measurements, and their results as goals and pictures need them."""

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
        """Many chains of another program, as kube-proxy makes them in the table that all users of iptables share."""
        names = "".join(f":KUBE-SVC-{index:016} - [0:0]\n" for index in range(1000))
        for restore in ("iptables-nft-restore", "ip6tables-nft-restore"):
            subprocess.run([restore, "--noflush"], input=f"*nat\n{names}COMMIT\n", text=True, check=True)
        for case in (MASQUERADE, DUAL_MASQUERADE)[:1 if self.quick else 2]:
            self.compare(case, ["causeway", "reference"], ", 1,000 foreign chains")
        sh("nft flush ruleset")

    def leases(self):
        counts = (0, 60000) if self.quick else (0, 1000, 4000, 60000)
        rivals = [Rival("causeway", IPV4, f"causeway {held}", held) for held in counts]
        # The reference reads every lease at each ADD.
        rivals += [Rival("reference", IPV4, f"reference {held}", held, 4 if held <= 4000 else 20)
                   for held in ((4000,) if self.quick else counts)]
        rivals.append(Rival("floor", IPV4))
        with Standing(rivals):
            self.rows("IPv4, leases held", in_turn(rivals, 6 if self.quick else 40))
        self.held = counts

    def routed_nodes(self):
        """Two nodes take turns: one without pods, one with more pods than a bridge has ports."""
        self.routed_pods = 200 if self.quick else 1500
        nodes = [RoutedNode(0), RoutedNode(self.routed_pods)]
        self.rows("IPv4, routed pods there", nodes_in_turn(nodes, 6 if self.quick else 40))
        for node in nodes:
            node.node.stop()

    def fast_path(self):
        """Two nodes take turns: one without the fast path, one with it."""
        self.helper_nodes = []
        if not paths.has_fast_path():
            say("plugin: the fast path is left out: it needs a kernel that takes its programs")
            return
        self.helper_nodes = [HelperNode(WITHOUT_IT), HelperNode(WITH_IT, "--fast-path", "on")]
        for node, wanted in zip(self.helper_nodes, (0, 2), strict=True):
            node.check(wanted)
        self.rows(FAST_PATH, nodes_in_turn(self.helper_nodes, 6 if self.quick else 80))

    def work(self):
        """Counts system calls and executions; no times are taken."""
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
        for node in self.helper_nodes:
            for verb in ("ADD", "DEL"):
                executions, calls = traced(node.rival, verb, "pod", node.node)
                self.executions = max(self.executions, executions)
                table.row(case=FAST_PATH, verb=verb, rival=node.rival.label, executions=executions, calls=calls)
            node.node.stop()

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
                    # The reference may fail when many calls run at once.
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
        # A routed pod needs fewer kernel calls; 5 % is noise.
        for verb in ("ADD", "DEL"):
            for case in (IPV4, DUAL_MASQUERADE):
                goal(f"{verb}, {case}, routed to bridge", ratio(verb, case, "causeway", "routed"), 1.05)
        crowds = [self.medians["ADD", "IPv4, routed pods there", f"routed {count}"] for count in (0, self.routed_pods)]
        goal(f"ADD, {self.routed_pods:,} routed pods there, to none", crowds[1] / crowds[0], 1.1)
        if self.helper_nodes:
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


def measure(report, quick):
    os.mkdir("/run/leases")
    sh(f"""for pod in $(seq 0 {PODS - 1}); do ip netns add pod$pod; done
           for pod in $(seq 0 {STANDING - 1}); do ip netns add standing$pod; done""")
    part = Part(report, quick)
    part.addresses()
    part.chains()
    part.leases()
    part.routed_nodes()
    part.at_once()
    part.fast_path()
    part.work()
    part.goals()
    part.draw()
    sh("for pod in $(ip netns list | cut -d' ' -f1); do ip netns delete $pod; done")
