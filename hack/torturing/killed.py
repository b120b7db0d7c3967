"""SIGKILL at each system call of the plugin's verbs and of a pass of the helper."""

import os

from pinned_map import FAST

from .cluster import fast_path, passes, state
from .faults import fault
from .node import check_mode, delete_after, delete_pod, left, new_pod
from .programs import MODES, SYNC, helper, network, plugin, sh
from .system_calls import inject, steps

KILL = "signal=KILL"


def killed(quick):
    for mode, configuration in MODES.items():
        killed_adds(quick, mode, configuration)
        killed_deletes(quick, mode, configuration)
    with fast_path():
        configuration = network(capabilities={"bandwidth": True})
        killed_adds(quick, "fast path", configuration)
        killed_deletes(quick, "fast path", configuration)
    killed_collections(quick)
    passes(quick, "killed", [KILL])
    killed_loads(quick)


def killed_adds(quick, mode, configuration):
    def add(under):
        new_pod("a")
        plugin("ADD", "a", configuration, under)
        check_mode(mode)
        plugin("DEL", "a", configuration).check_returncode()
        delete_pod("a")
    found = steps(quick, add)
    for step in found:
        new_pod("a")
        process = plugin("ADD", "a", configuration, inject(step, KILL))
        delete_after(f"{mode}, ADD killed at {step}", process, configuration)
        delete_pod("a")
    print(f"killed: {mode}, ADD at {len(found)} system calls, then DEL", flush=True)


def killed_deletes(quick, mode, configuration):
    def prepare():
        new_pod("a")
        plugin("ADD", "a", configuration).check_returncode()
    prepare()
    found = steps(quick, lambda under: plugin("DEL", "a", configuration, under))
    delete_pod("a")
    for step in found:
        prepare()
        process = plugin("DEL", "a", configuration, inject(step, KILL))
        delete_after(f"{mode}, DEL killed at {step}", process, configuration)
        delete_pod("a")
    print(f"killed: {mode}, DEL at {len(found)} system calls, then DEL again", flush=True)


def killed_collections(quick):
    """GC on a node with one pod whose namespace is gone without DEL, and one pod that is valid."""
    valid = network(**{"cni.dev/valid-attachments": [{"containerID": "b", "ifname": "eth0"}]})
    new_pod("b")
    plugin("ADD", "b").check_returncode()
    kept = sorted(left())

    def leak():
        new_pod("a")
        plugin("ADD", "a").check_returncode()
        delete_pod("a")
    leak()
    found = steps(quick, lambda under: plugin("GC", None, valid, under=under))
    for step in found:
        leak()
        plugin("GC", None, valid, under=inject(step, KILL))
        process = plugin("GC", None, valid)
        if process.returncode:
            fault(f"GC after one killed at {step}", process.stdout.decode())
        elif sorted(left()) != kept:
            fault(f"GC after one killed at {step}", f"{sorted(set(left()) ^ set(kept))}")
    plugin("DEL", "b").check_returncode()
    delete_pod("b")
    print(f"killed: GC at {len(found)} system calls, then GC again", flush=True)


def killed_loads(quick):
    """A pass that loads the fast path into the kernel."""
    without = ["off" if word == "on" else word for word in SYNC]
    with fast_path():
        wanted = state()

        def remove():
            helper(*without)
            if os.path.exists(FAST) or "clsact" in sh("tc qdisc show"):
                fault("sync without the fast path", f"it is still there: {sh('tc qdisc show')}")
        remove()
        found = steps(quick, lambda under: helper(*SYNC, under=under))
        for step in found:
            remove()
            helper(*SYNC, under=inject(step, KILL))
            process = helper(*SYNC)
            if process.returncode:
                fault(f"sync after one killed at {step}", process.stdout + process.stderr)
            elif state() != wanted:
                fault(f"sync after one killed at {step}", "the fast path differs")
    print(f"killed: sync that loads the fast path at {len(found)} system calls, then sync again", flush=True)
