"""The paths between two ends that are measured. Each path has its own two nodes, joined by a veth pair.

To measure another path, add it to PATHS: `Pods` with a configuration of the plugin and options of the helper, or a new
class with `client`, `server` and `address`.
"""

import functools
import json
import os
import subprocess
import sys

from private import HELPER, PLUGIN, REFERENCE, Node

HOST_GW, VXLAN = {"Type": "host-gw"}, {"Type": "vxlan"}
NODES = {
    "nodes": [{"name": f"node-{number}", "publicIP": f"192.0.2.{number}", "subnet": f"10.244.{number}.0/24"}
              for number in (1, 2)],
}


def store_nodes(node, backend=HOST_GW):
    """Writes the nodes file that `helper` reads on that node."""
    cluster = NODES | {"network": {"Network": "10.244.0.0/16", "Backend": backend}}
    node.run("sh", "-c", "cat >/run/node/nodes.json", input=json.dumps(cluster).encode())


def helper(number, verb, *options):
    """The helper's command on the node of this number."""
    return [HELPER, verb, "--nodes-file", "/run/node/nodes.json", "--node-name", f"node-{number}", *options]


class NodeToNode:
    """From node to node: the link between the nodes alone, which is the limit."""

    def __init__(self):
        self.nodes = [Node(f"node-{number}") for number in (1, 2)]
        first, second = self.nodes
        first.sh(f"ip link add eth0 type veth peer name eth0 netns {second.holder.pid}")
        for number, node in enumerate(self.nodes, 1):
            node.sh(f"ip address add 192.0.2.{number}/24 dev eth0 && ip link set eth0 up")
        self.address = "192.0.2.2"

    def client(self, *command):
        return self.nodes[0].command(*command)

    def server(self, *command):
        return self.nodes[1].command(*command)

    def check(self):
        """Exits if the traffic so far did not take this path."""

    def stop(self):
        for node in self.nodes:
            node.stop()


class Pods(NodeToNode):
    """From pod to pod: a plugin attaches a pod to each node, and the helper sets the routes between them."""

    def __init__(self, plugin, configuration, *options, backend=HOST_GW):
        super().__init__()
        self.plugin, self.configuration, self.options = plugin, configuration, options
        for number, node in enumerate(self.nodes, 1):
            store_nodes(node, backend)
            node.run(*helper(number, "sync", *options))
            # ADD switches forwarding on, but here traffic may come back before the second node has had its ADD.
            node.sh("echo 1 >/proc/sys/net/ipv4/ip_forward && ip netns add pod")
        self.address = [self.add(number, node) for number, node in enumerate(self.nodes, 1)][1]

    def add(self, number, node):
        """Adds the pod of a node; returns its address."""
        text = {"cniVersion": "1.0.0", "name": "podnet", "type": os.path.basename(self.plugin), "isGateway": True,
                "isDefaultGateway": True, "hairpinMode": True} | self.configuration(number)
        result = node.run("env", "CNI_COMMAND=ADD", "CNI_CONTAINERID=pod", "CNI_NETNS=/run/netns/pod", "CNI_IFNAME=eth0",
                          f"CNI_PATH={REFERENCE}", self.plugin, input=json.dumps(text).encode())
        return json.loads(result)["ips"][0]["address"].split("/")[0]

    def client(self, *command):
        return super().client("ip", "netns", "exec", "pod", *command)

    def server(self, *command):
        return super().server("ip", "netns", "exec", "pod", *command)


class FastPods(Pods):
    """From pod to pod by the fast path, which carries established flows past bridge and netfilter."""
    # The least share of carried packets. The others begin flows, end them or refresh their conntrack entries.
    SHARE = 0.95

    def __init__(self, configuration, *options):
        # With the capability bandwidth, the plugin adds a pod to the fast path at once.
        super().__init__(PLUGIN, lambda number: {"capabilities": {"bandwidth": True}} | configuration(number),
                         "--ip-masq", "--fast-path", "on", *options)

    def check(self):
        for number, node in enumerate(self.nodes, 1):
            counts = json.loads(node.run(*helper(number, "status", "--json", *self.options)))["fastPath"]
            for direction in ("from-pod", "to-pod"):
                packets = {reason: count["packets"] for reason, count in counts[direction].items()}
                share = packets["carried"] / max(1, sum(packets.values()))
                if share < FastPods.SHARE:
                    sys.exit(f"hack/bench/run: the fast path of node-{number} carried only {share:.0%} of the packets "
                             f"{direction}: {packets}")


class FastNodes(FastPods):
    """From node to node on nodes with the fast path: conntrack and the programs on the link cost something."""

    def __init__(self):
        super().__init__(lambda number: {})
        self.address = "192.0.2.2"

    client, server, check = NodeToNode.client, NodeToNode.server, NodeToNode.check


def causeway(*options, backend=HOST_GW, **keys):
    """Pods of the plugin, with addresses of the helper's lease."""
    return lambda: Pods(PLUGIN, lambda number: keys, *options, backend=backend)


def fast(*options, **keys):
    """Pods on the fast path, with conntrack and masquerade as on a real node."""
    return lambda: FastPods(lambda number: keys, *options)


def reference(**keys):
    """Pods of the reference plugins, with the same nodes and routes."""
    def configuration(number):
        return {"ipam": {"type": "host-local", "ranges": [[{"subnet": f"10.244.{number}.0/24"}]]}} | keys
    return lambda: Pods(f"{REFERENCE}/bridge", configuration)


LIMIT = "node to node"
PATHS = {
    LIMIT: NodeToNode,
    "causeway": causeway(ipMasq=False),
    "causeway, ipMasq": causeway(ipMasq=True),
    "causeway, helper's --ip-masq": causeway("--ip-masq"),
    "routed": causeway(ipMasq=False, mode="routed"),
    "vxlan": causeway(ipMasq=False, backend=VXLAN),
    "fast path": fast(),
    "fast path, its nodes": FastNodes,
    "fast path, by sight": fast("--fast-path-flows", "sight"),
    "fast path, routed": fast(mode="routed"),
    "reference": reference(ipMasq=False),
    "reference, ipMasq": reference(ipMasq=True),
}
# The reference path for each path.
RIVALS = {
    "causeway": "reference", "causeway, ipMasq": "reference, ipMasq", "causeway, helper's --ip-masq": "reference, ipMasq",
    "routed": "reference", "vxlan": "reference",
    "fast path": "reference, ipMasq", "fast path, by sight": "reference, ipMasq", "fast path, routed": "reference, ipMasq",
}


def has_vxlan():
    """Whether the kernel has VXLAN links."""
    return subprocess.run(
        ["unshare", "--net", "ip", "link", "add", "vxlan1", "type", "vxlan", "id", "1", "dstport", "8472"],
        stderr=subprocess.DEVNULL).returncode == 0


@functools.cache
def has_fast_path():
    """Whether the kernel accepts the programs: the helper loads them on a node made for this."""
    node = Node("node-1")
    node.sh("ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up && "
            "ip address add 192.0.2.1/24 dev eth0")
    store_nodes(node)
    process = subprocess.run(node.command(*helper(1, "sync", "--fast-path", "on")), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    node.stop()
    return process.returncode == 0


# Paths that need a feature of the kernel: its name, and a function that tests for it.
NEEDS = {"vxlan": ("a kernel with vxlan", has_vxlan)} | dict.fromkeys(
    (path for path in PATHS if path.startswith("fast path")), ("a kernel that accepts the fast path's programs", has_fast_path))
