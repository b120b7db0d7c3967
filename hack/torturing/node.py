"""The node's pods: what they leave on the node, and how the node is made empty again."""

import json
import os
import re
import subprocess
import sys

from pinned_map import PinnedMap

from .faults import fault
from .programs import SYNC, helper, plugin, sh

LEASES, STATE = "/var/lib/cni/networks", "/run/causeway"
# The veth pair that leads to other nodes.
NODES_LINK = ("up0", "far0")


def new_pod(name):
    subprocess.check_call(["ip", "netns", "add", name])


def delete_pod(name):
    subprocess.check_call(["ip", "netns", "delete", name])


def left():
    """Everything on this node that belongs to a pod. The bridge belongs to the node."""
    links = json.loads(sh("ip -j link show type veth") or "[]")
    found = [f"link {link['ifname']}" for link in links if link["ifname"] not in NODES_LINK]
    for directory, _, files in os.walk(LEASES):
        found += [f"{directory}/{name}" for name in files
                  if name not in ("lock", "index", "filler") and not name.startswith("last_reserved_ip")]
    for directory, _, files in os.walk(STATE):
        found += [f"{directory}/{name}" for name in files if "attachments" in directory or name.startswith(".")]
    for line in sh("ip -o route show table all proto 203; ip -o -6 route show table all proto 203").splitlines():
        found.append(f"route {line}")
    found += [f"answer for {line}" for line in sh("ip neighbour show proxy").splitlines()]
    return found + left_rules() + [f"fast path of {key.hex()}" for key in PinnedMap("pods").entries()]


def left_rules():
    rules, found = sh("nft list ruleset"), []
    if "table inet causeway_routed" in rules:
        for entry in json.loads(sh("nft -j list table inet causeway_routed"))["nftables"]:
            found += [f"element {json.dumps(element)} of {entry['set']['name']}"
                      for element in entry.get("set", {}).get("elem", [])]
    # The networks themselves stay: traffic to them is not masqueraded.
    return found + [f"rule of {address}" for address in re.findall(r"10\.9\.0\.[1-9]\d*|fd00:9::[0-9a-f:]+", rules)]


def check_mode(mode):
    """Ends the run if a pod of this mode lacks what `left` searches for: nothing could be found to be left then."""
    kinds = {thing.split()[0] for thing in left()}
    wanted = {"link", "rule"} | {"routed": {"route", "answer", "element"}, "fast path": {"fast"}}.get(mode, set())
    if not wanted <= kinds:
        sys.exit(f"hack/torture: a pod of mode {mode} has no {', '.join(wanted - kinds)}: {left()}")


def delete_after(what, process, configuration=None):
    """Does what the runtime does after a call that failed, which is DEL. It must succeed and leave nothing."""
    delete = plugin("DEL", "a", configuration)
    # No pod waits for the fast path: DEL reports what it cannot remove there, and the helper removes it.
    if b"keeps its place on the fast path" in process.stderr:
        helper(*SYNC)
    if delete.returncode:
        fault(what, f"DEL: {delete.stdout.decode()}")
    elif left():
        fault(what, f"{left()}")
    clean()


def clean():
    """Removes what a fault has left, so that the next step begins on an empty node."""
    if left():
        nodes_links = " ".join(f"-e {name}" for name in NODES_LINK)
        sh(f"ip -o link show type veth | cut -d: -f2 | cut -d@ -f1 | grep -vw {nodes_links} | "
           "xargs -r -n1 ip link del; nft flush ruleset; "
           "ip neighbour show proxy | while read address _ link _; do ip neighbour del proxy $address dev $link; done; "
           f"rm -rf {LEASES} {STATE}/attachments")
        PinnedMap("pods").clear()
