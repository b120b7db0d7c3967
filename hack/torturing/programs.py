"""Runs the built programs as a container runtime and an operator run them."""

import json
import os
import subprocess

BIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.build/release")
PLUGIN, HELPER = f"{BIN}/causeway", f"{BIN}/causeway-hostgw"
# A program that takes longer than this many seconds hangs.
HANGS = 300
# The pass of the helper that is interrupted.
SYNC = ["sync", "--node-name", "n1", "--ip-masq", "--fast-path", "on"]


def sh(script):
    """What the script prints, errors included; it may fail."""
    return subprocess.run(
        ["sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=HANGS).stdout


def network(**more):
    """A network configuration with both families and masquerade."""
    return {
        "cniVersion": "1.1.0", "name": "torture", "type": "causeway", "ipMasq": True,
        "ipam": {"ranges": [[{"subnet": "10.9.0.0/24"}], [{"subnet": "fd00:9::/64"}]]}} | more


# With a bridge and without one. The bridge comes first: if a node has one, it answers for the addresses of routed pods.
MODES = {"bridge": network(), "routed": network(mode="routed")}


def environment(verb, pod):
    """The variables of a CNI call. GC is for a whole network and names no pod."""
    variables = {"PATH": os.environ["PATH"], "CNI_COMMAND": verb, "CNI_PATH": BIN, "CNI_IFNAME": "eth0"}
    if verb != "GC":
        variables |= {"CNI_CONTAINERID": pod, "CNI_NETNS": f"/run/netns/{pod}"}
    return variables


def plugin(verb, pod, configuration=None, under=(), **options):
    """Runs the plugin and returns the finished process. Its `json` is the answer, or "cut short" if that is not JSON."""
    process = subprocess.run(
        [*under, PLUGIN], input=json.dumps(configuration or network()).encode(), env=environment(verb, pod),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **{"timeout": HANGS} | options)
    try:
        process.json = json.loads(process.stdout) if process.stdout else None
    except ValueError:
        process.json = "cut short"
    return process


def helper(*arguments, under=()):
    return subprocess.run(
        [*under, HELPER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=HANGS)
