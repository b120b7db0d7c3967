"""A cluster from a nodes file, and the passes of the helper that carry it into the kernel."""

import contextlib
import json
import os
import re
import sys

from pinned_map import FAST, PinnedMap

from .faults import fault
from .programs import SYNC, helper, sh
from .system_calls import inject, steps

CONF = "/etc/causeway"
# A pass leads from the small cluster to the large one, or back.
SMALL, LARGE = 20, 40


def add_link(*addresses):
    """The link to other nodes, with these addresses."""
    sh("ip link add up0 type veth peer name far0; ip link set far0 up; ip link set up0 up; " + "; ".join(
        f"ip address add {address} dev up0" for address in addresses))


def write_nodes(network, nodes):
    os.makedirs(CONF, exist_ok=True)
    with open(f"{CONF}/nodes.json", "w") as file:
        json.dump({"network": network, "nodes": nodes}, file)


def write_cluster(count):
    write_nodes({"Network": "10.244.0.0/16"}, [
        {"name": f"n{index}", "publicIP": f"192.0.2.{index}", "subnet": f"10.244.{index}.0/24"}
        for index in range(1, count + 1)])


@contextlib.contextmanager
def fast_path():
    """A node with the fast path and one other node. The subnets of this node are those of `programs.network`."""
    add_link("192.0.2.1/24", "fd00:2::1/64 nodad")
    write_nodes({"Network": "10.9.0.0/16", "EnableIPv6": True, "IPv6Network": "fd00:9::/48"}, [
        {"name": f"n{index}", "publicIP": f"192.0.2.{index}", "publicIPv6": f"fd00:2::{index}",
         "subnet": f"10.9.{subnet}.0/24", "ipv6Subnet": f"fd00:9:0:{subnet}::/64"}
        for index, subnet in ((1, 0), (2, 1))])
    process = helper(*SYNC)
    if process.returncode:
        sys.exit(f"hack/torture: there is no fast path here: {process.stdout}{process.stderr}")
    yield
    helper("clean")
    if os.path.exists(FAST):
        fault("clean", f"{FAST} is still there")
    sh("ip link del up0")


def routes():
    return (sorted(route["dst"] + " " + route.get("gateway", "") for route in
                   json.loads(sh("ip -j route show proto 202") or "[]")),
            sorted(hop["gateway"] for hop in json.loads(sh("ip -j nexthop show") or "[]")))


def filters():
    """The fast path's programs on the link to other nodes."""
    return re.findall(r"pref \d+ bpf .*handle .* name \w+ tag \w+",
                      sh("tc filter show dev up0 ingress; tc filter show dev up0 egress"))


def state():
    """What a pass is for: routes, rules, and the fast path's programs and peers."""
    return (routes(), sh("nft list table inet causeway"), sorted(os.listdir(FAST)),
            [re.sub(r" id \d+", "", line) for line in filters()], PinnedMap("peers").entries())


def check_state(where, process, wanted):
    """A pass must succeed and leave the state that is wanted."""
    if process.returncode:
        fault(where, process.stdout + process.stderr)
    elif state() != wanted:
        fault(where, "routes, rules or the fast path differ")


def passes(quick, what, effects, calls="all"):
    """Passes between the two clusters, each with one of the effects at one system call, then a pass without any."""
    add_link("192.0.2.1/24")
    wanted = {}
    for count in (SMALL, LARGE):
        write_cluster(count)
        assert helper(*SYNC).returncode == 0
        wanted[count] = state()
        if len(wanted[count][3]) != 2 or len(wanted[count][4]) != count:
            sys.exit(f"hack/torture: there is no fast path here: {wanted[count][2:]}")
    write_cluster(SMALL)
    found = steps(quick, lambda under: helper(*SYNC, under=under), calls)
    count, succeeded = SMALL, 0
    for effect in effects:
        for step in found:
            count = LARGE if count == SMALL else SMALL
            write_cluster(count)
            process = helper(*SYNC, under=inject(step, effect))
            if process.returncode == 0:
                succeeded += 1
                if state() != wanted[count]:
                    fault(f"sync, {effect} at {step}", "success, but routes, rules or the fast path differ")
            check_state(f"sync after {effect} at {step}", helper(*SYNC), wanted[count])
    helper("clean")
    sh("ip link del up0")
    print(f"{what}: sync at {len(found)} system calls, {succeeded} succeeded anyway, then sync again", flush=True)
