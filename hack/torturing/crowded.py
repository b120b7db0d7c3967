"""ADDs and DELs of many pods in random order and in parallel, some of them killed; then everything is deleted."""

import json
import os
import random
import subprocess
import time
from dataclasses import dataclass

from .faults import fault
from .node import LEASES, clean, delete_pod, left, new_pod
from .programs import HANGS, PLUGIN, environment, network, plugin

# Calls that run at the same time, and pods.
WIDTH, PODS = 64, 200


@dataclass
class Call:
    """A call that runs: the file that gets its answer, and when it is killed."""
    pod: str
    verb: str
    process: subprocess.Popen
    output: object
    deadline: float
    is_victim: bool

    def answer(self):
        self.output.seek(0)
        text = self.output.read()
        self.output.close()
        return text


class Crowd:
    """The pods with the addresses that they hold, as the runtime knows them from the answers."""

    def __init__(self):
        self.generator = random.Random(1)
        self.pods = [f"p{index}" for index in range(PODS)]
        # The networks share the addresses of one lease.
        networks = [network(name=f"net{index}", bridge=f"br{index}", ipam={"ranges": [
            [{"subnet": f"10.9.{index}.0/24"}], [{"subnet": f"fd00:9:{index}::/64"}]]}) for index in range(3)]
        self.network = {pod: networks[index % 3] for index, pod in enumerate(self.pods)}
        self.held, self.running, self.killed = {}, [], 0

    def begin(self):
        """Starts a call for a pod that has none."""
        busy = {call.pod for call in self.running}
        pod = self.generator.choice([pod for pod in self.pods if pod not in busy])
        verb = "DEL" if pod in self.held and self.generator.random() < 0.7 else "ADD"
        output = open(f"/run/answer-{pod}", "w+")
        process = subprocess.Popen([PLUGIN], env=environment(verb, pod), stdin=subprocess.PIPE, stdout=output,
                                   stderr=subprocess.DEVNULL)
        process.stdin.write(json.dumps(self.network[pod]).encode())
        process.stdin.close()
        is_victim = self.generator.random() < 0.1
        deadline = time.monotonic() + (self.generator.random() * 0.02 if is_victim else HANGS)
        self.running.append(Call(pod, verb, process, output, deadline, is_victim))

    def poll(self):
        """Kills the calls whose time is over, and judges those that have ended."""
        for call in list(self.running):
            if time.monotonic() > call.deadline and call.process.poll() is None:
                call.process.kill()
                call.process.wait()
                self.killed += 1
                if not call.is_victim:
                    fault("crowded", f"{call.verb} of {call.pod} hangs")
            if call.process.poll() is not None:
                self.running.remove(call)
                self.end(call.pod, call.verb, call.process.returncode, call.answer())

    def end(self, pod, verb, status, text):
        if verb == "ADD" and status == 0:
            self.hold(pod, [ip["address"] for ip in json.loads(text)["ips"]])
        elif verb == "ADD" and pod in self.held and status > 0:
            pass  # The pod was there already.
        elif verb == "DEL" and status == 0:
            self.held.pop(pod, None)
        elif status < 0:
            # The runtime deletes a pod whose call was killed.
            plugin("DEL", pod, self.network[pod]).check_returncode()
            self.held.pop(pod, None)
        else:
            fault("crowded", f"{verb} of {pod}: {text}")

    def hold(self, pod, addresses):
        for address in addresses:
            other = next((name for name, held in self.held.items() if address in held and name != pod), None)
            if other:
                fault("crowded", f"{address} is {pod}'s and {other}'s")
            self.held.setdefault(pod, set()).add(address)

    def check_leases(self):
        """The leases on disk are those of the pods."""
        names = [name for _, _, files in os.walk(LEASES) for name in files if name[0].isdigit() or name.startswith("fd")]
        if sorted(names) != sorted(address.split("/")[0] for held in self.held.values() for address in held):
            fault("crowded", f"{len(names)} leases on disk for {sum(map(len, self.held.values()))} addresses")


def crowded(quick):
    rounds, crowd, begun = (300 if quick else 10000), Crowd(), 0
    for pod in crowd.pods:
        new_pod(pod)
    while begun < rounds or crowd.running:
        while len(crowd.running) < WIDTH and begun < rounds:
            crowd.begin()
            begun += 1
        crowd.poll()
        time.sleep(0.0005)
    crowd.check_leases()
    for pod in crowd.pods:
        plugin("DEL", pod, crowd.network[pod]).check_returncode()
        delete_pod(pod)
    if left():
        fault("crowded", f"{left()[:5]}")
    clean()
    print(f"crowded: {rounds} calls, {WIDTH} at once, {crowd.killed} of them killed, 3 networks, both families")
