"""ADD on a node that lacks something: room on a disk, descriptors, memory, a lock."""

import os
import resource
import signal
import subprocess
import time

from . import control_group
from .faults import fault
from .node import LEASES, STATE, clean, delete_after, delete_pod, left, new_pod
from .programs import plugin, sh


def starved(quick):
    new_pod("a")
    for directory in (LEASES, STATE):
        starved_of_disk(directory)
    clean()
    starved_of_descriptors()
    starved_of_memory(quick)
    starved_by_group(quick)
    starved_of_locks()
    delete_pod("a")


def served(what, before_delete="true", **options):
    """An ADD that succeeds, or fails with a reason and leaves nothing; then its DEL."""
    process = plugin("ADD", "a", timeout=90, **options)
    has_answer = isinstance(process.json, dict) and (process.json.get("msg") or process.json.get("ips"))
    if process.returncode >= 0 and not has_answer:
        fault(what, f"status {process.returncode}, {process.stdout!r} {process.stderr[-200:]!r}")
    elif process.returncode > 0 and left():
        fault(what, f"{left()} after {process.json['msg']}")
    sh(before_delete)
    delete_after(what, process)
    return process


def starved_of_disk(directory):
    """A file system without room, then one that is read-only."""
    def report(problem, process):
        answer = process.json or {}
        print(f"starved: {directory} is {problem}: {answer.get('msg', 'served')}: {answer.get('details', '')}")
    os.makedirs(directory, exist_ok=True)
    sh(f"mount -t tmpfs -o size=16k,nr_inodes=32 tmpfs {directory}; head -c 1M /dev/zero >{directory}/filler")
    report("full", served(f"{directory} full"))
    sh(f"umount {directory}; mount --bind {directory} {directory}; mount -o remount,bind,ro {directory}")
    # The runtime repeats DEL until the node is in order.
    report("read-only", served(f"{directory} read-only", before_delete=f"mount -o remount,bind,rw {directory}"))
    sh(f"umount {directory}")


def limit(kind, value):
    """The options of a call with a resource limit."""
    return {"preexec_fn": lambda: resource.setrlimit(kind, (value, value))}


def starved_of_descriptors():
    outcomes = [served(f"{number} descriptors", **limit(resource.RLIMIT_NOFILE, number)).returncode
                for number in range(3, 24)]
    refused = len(outcomes) - outcomes.count(0)
    print(f"starved: 3 to 23 descriptors: {outcomes.count(0)} served, {refused} refused with a reason")


def starved_of_memory(quick):
    """Swift ends a program that gets no memory. The next DEL removes what that program had begun."""
    outcomes = []
    for pages in range(300, 2600, 400 if quick else 40):
        process = plugin("ADD", "a", timeout=60, **limit(resource.RLIMIT_AS, pages * 4096))
        outcomes.append(process.returncode)
        delete_after(f"{pages * 4} KiB of memory", process)
    print(f"starved: memory: {outcomes.count(0)} of {len(outcomes)} served, "
          f"{sum(1 for code in outcomes if code < 0)} ended by the kernel or by Swift, the next DEL left nothing")


def starved_by_group(quick):
    """The plugin in a control group with little memory, as a runtime's own may have: the kernel ends it with SIGKILL."""
    outcomes = []
    with control_group.limited() as group:
        if not group:
            return
        for kibibytes in range(32, 1056, 128 if quick else 16):
            group.limit(kibibytes << 10)
            try:
                process = plugin("ADD", "a", timeout=60, preexec_fn=group.join)
            except subprocess.TimeoutExpired:
                fault("starved", f"ADD with {kibibytes} KiB in a control group hangs")
                plugin("DEL", "a")
                continue
            except subprocess.SubprocessError:
                continue  # Too little for this script itself.
            outcomes.append(process.returncode)
            delete_after(f"{kibibytes} KiB in a control group", process)
    print(f"starved: memory of a control group: {outcomes.count(0)} of {len(outcomes)} served, "
          f"{sum(1 for code in outcomes if code < 0)} ended by the kernel, the next DEL left nothing")


def starved_of_locks():
    """A stopped process holds a lock for good."""
    plugin("ADD", "a").check_returncode()
    plugin("DEL", "a").check_returncode()
    for directory, _, names in list(os.walk(LEASES)):
        for name in names:
            if name.endswith("lock"):
                starved_of_lock(f"{directory}/{name}")


def starved_of_lock(lock):
    # Without a child: the process that is stopped must be the one that holds the lock.
    holder = subprocess.Popen(["flock", "--no-fork", lock, "sleep", "1000"])
    while subprocess.run(["flock", "--nonblock", lock, "true"]).returncode == 0:
        time.sleep(0.05)
    holder.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    process = plugin("ADD", "a", timeout=200)
    waited = time.monotonic() - start
    error = process.json if isinstance(process.json, dict) else {}
    if process.returncode == 0 or error.get("code") != 11:
        fault(f"{lock} held", f"status {process.returncode}, {process.stdout!r} {process.stderr[-300:]!r}")
    holder.kill()
    holder.wait()
    delete_after(f"{lock} held", process)
    print(f"starved: {os.path.basename(lock)} held by a stopped process: code {error.get('code')} after {waited:.0f} s: "
          f"{error.get('msg')}")
