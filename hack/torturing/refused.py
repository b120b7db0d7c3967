"""Each system call of ADD, DEL and a pass of the helper fails once, with each errno that it may have."""

from .cluster import fast_path, passes
from .faults import fault
from .node import delete_after, delete_pod, left, new_pod
from .programs import MODES, network, plugin
from .system_calls import inject, steps, supported

ERRNOS = ["ENOMEM", "EBUSY", "EINTR", "ENOBUFS", "ENOSPC", "EIO"]
# System calls of the plugin itself. What the start of the Swift runtime and memory do on a refusal is not its code.
REFUSABLE = ("socket,bind,sendto,recvfrom,setsockopt,openat,read,write,linkat,mkdir,mkdirat,rename,renameat2,unlink,"
             "unlinkat,flock,fcntl,ftruncate,fstat,newfstatat,getdents64,lseek,setns,close,poll,clone,clone3,pipe2,wait4,"
             "ioctl,fchmod,utimensat,pwrite64,pread64,bpf")
# The helper's system calls for netlink sockets and for the fast path.
NETLINK = "socket,bind,setsockopt,getsockname,sendto,recvfrom,sendmsg,recvmsg,bpf"


def refused(quick):
    calls = supported(REFUSABLE)
    for mode, configuration in MODES.items():
        for verb in ("ADD", "DEL"):
            refused_pod(quick, calls, mode, verb, configuration)
    with fast_path():
        for verb in ("ADD", "DEL"):
            refused_pod(quick, calls, "fast path", verb, network(capabilities={"bandwidth": True}))
    passes(quick, "refused", [f"error={errno}" for errno in ("ENOMEM", "ENOBUFS", "EINTR")], supported(NETLINK))


def refused_pod(quick, calls, mode, verb, configuration):
    def run(under):
        new_pod("a")
        if verb == "DEL":
            plugin("ADD", "a", configuration).check_returncode()
        return plugin(verb, "a", configuration, under, timeout=60)
    found = steps(quick, run, calls)
    plugin("DEL", "a", configuration).check_returncode()
    delete_pod("a")
    succeeded = failed = 0
    for errno in ERRNOS:
        for step in found:
            process = run(inject(step, f"error={errno}"))
            where = f"{mode}, {verb}, {errno} at {step}"
            succeeded += process.returncode == 0
            failed += process.returncode != 0
            check_answer(where, verb, process)
            delete_after(where, process, configuration)
            delete_pod("a")
    print(f"refused: {mode}, {verb}, {len(ERRNOS)} errnos at {len(found)} system calls: {succeeded} succeeded anyway, "
          f"{failed} returned an error", flush=True)


def check_answer(where, verb, process):
    """A call answers as the CNI specification says; an ADD that fails leaves nothing."""
    if process.returncode == 0:
        if process.json == "cut short" or (verb == "ADD") != bool(process.json):
            fault(where, f"success, with the answer {process.stdout!r}")
    elif not isinstance(process.json, dict) or not process.json.get("msg"):
        # A refused write allows no answer.
        if process.returncode < 0 or process.stdout:
            fault(where, f"status {process.returncode}, answer {process.stdout!r}, {process.stderr[-300:]!r}")
    elif verb == "ADD" and left():
        fault(where, f"{left()} after {process.json.get('msg')}: {process.json.get('details', '')}")
