"""The ways of making a path between two ends, each with two nodes of its own on one cable.

To measure another way, write it into WAYS: `Pods` with what it tells the plugin and the helper, or a class of its own
with `client`, `server` and `address`.
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
    """Where `helper` on that node finds them."""
    cluster = NODES | {"network": {"Network": "10.244.0.0/16", "Backend": backend}}
    node.run("sh", "-c", "cat >/run/node/nodes.json", input=json.dumps(cluster).encode())


def helper(number, verb, *options):
    """The command for the node of this number."""
    return [HELPER, verb, "--nodes-file", "/run/node/nodes.json", "--node-name", f"node-{number}", *options]


class NodeToNode:
    """The limit: what the nodes' own link gives."""

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
        """Ends the command where the traffic until now did not go this way."""

    def stop(self):
        for node in self.nodes:
            node.stop()


class Pods(NodeToNode):
    """A pod on each node, by a plugin, and the helper's routes between them, plain or into its tunnel."""

    def __init__(self, plugin, configuration, *options, backend=HOST_GW):
        super().__init__()
        self.plugin, self.configuration, self.options = plugin, configuration, options
        for number, node in enumerate(self.nodes, 1):
            store_nodes(node, backend)
            node.run(*helper(number, "sync", *options))
            # Switched on by whichever plugin comes first, as on any node; here both directions are asked for at once.
            node.sh("echo 1 >/proc/sys/net/ipv4/ip_forward && ip netns add pod")
        self.address = [self.add(number, node) for number, node in enumerate(self.nodes, 1)][1]

    def add(self, number, node):
        """The address that the pod has got."""
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
    """The same, where each node carries by its fast path what it may: established flows, past bridge and netfilter."""
    # Of all packets at least; the rest begins flows, ends them or keeps the ordinary path's memory of them awake.
    SHARE = 0.95

    def __init__(self, configuration, *options):
        # Who is told of limits gives its pods their place at once.
        super().__init__(PLUGIN, lambda number: {"capabilities": {"bandwidth": True}} | configuration(number),
                         "--ip-masq", "--fast-path", "on", *options)

    def check(self):
        for number, node in enumerate(self.nodes, 1):
            counts = json.loads(node.run(*helper(number, "status", "--json", *self.options)))["fastPath"]
            for direction in ("from-pod", "to-pod"):
                packets = {reason: count["packets"] for reason, count in counts[direction].items()}
                share = packets["carried"] / max(1, sum(packets.values()))
                if share < FastPods.SHARE:
                    sys.exit(f"hack/bench/run: node-{number} carried {share:.0%} of the packets {direction}, so it is not "
                             f"the fast path that was measured: {packets}")


class FastNodes(FastPods):
    """The nodes of such pods themselves: their link, as conntrack and the programs at it leave it."""

    def __init__(self):
        super().__init__(lambda number: {})
        self.address = "192.0.2.2"

    client, server, check = NodeToNode.client, NodeToNode.server, NodeToNode.check


def causeway(*options, backend=HOST_GW, **keys):
    """With the addresses of the helper's lease."""
    return lambda: Pods(PLUGIN, lambda number: keys, *options, backend=backend)


def fast(*options, **keys):
    """With what a real node has too, conntrack and masquerade."""
    return lambda: FastPods(lambda number: keys, *options)


def reference(**keys):
    """The same nodes and routes; its addresses are told in the way it knows."""
    def configuration(number):
        return {"ipam": {"type": "host-local", "ranges": [[{"subnet": f"10.244.{number}.0/24"}]]}} | keys
    return lambda: Pods(f"{REFERENCE}/bridge", configuration)


LIMIT = "node to node"
WAYS = {
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
# What is held against what.
RIVALS = {
    "causeway": "reference", "causeway, ipMasq": "reference, ipMasq", "causeway, helper's --ip-masq": "reference, ipMasq",
    "routed": "reference", "vxlan": "reference",
    "fast path": "reference, ipMasq", "fast path, by sight": "reference, ipMasq", "fast path, routed": "reference, ipMasq",
}


def has_vxlan():
    """Whether the kernel has such links."""
    return subprocess.run(["unshare", "--net", "ip", "link", "add", "vxlan1", "type", "vxlan", "id", "1", "dstport", "8472"],
                          stderr=subprocess.DEVNULL).returncode == 0


@functools.cache
def has_fast_path():
    """Whether the kernel takes the programs: the helper tries on a node of its own."""
    node = Node("node-1")
    node.sh("ip link add eth0 type veth peer name far && ip link set far up && ip link set eth0 up && "
            "ip address add 192.0.2.1/24 dev eth0")
    store_nodes(node)
    process = subprocess.run(node.command(*helper(1, "sync", "--fast-path", "on")), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    node.stop()
    return process.returncode == 0


# Ways that need what a kernel may lack: what that is, and whether it is there.
NEEDS = {"vxlan": ("a kernel with vxlan", has_vxlan)} | dict.fromkeys(
    (way for way in WAYS if way.startswith("fast path")), ("a kernel that takes the fast path's programs", has_fast_path))
