"""Where everything is measured: namespaces that go, with all that is in them, when the command ends."""

import os
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BINARIES = os.path.join(HERE, "../../.build/release")
PLUGIN = os.path.join(BINARIES, "causeway")
HELPER = os.path.join(BINARIES, "causeway-hostgw")
REFERENCE = "/usr/lib/cni"
PACKAGES = {
    "gcc": "gcc", "ip": "iproute2", "unshare": "util-linux", "setpriv": "util-linux",
    "strace": "strace", "iperf3": "iperf3", "etcd": "etcd-server", "iptables-nft-restore": "iptables", "nft": "nftables",
    REFERENCE + "/bridge": "containernetworking-plugins",
}


def is_inside():
    """Whether this is what `enter` has started: the variable alone, which a shell may have left, says too little for one
    who is about to change the network."""
    return os.environ.get("CAUSEWAY_BENCH") == "inside" and os.getpid() == 1


def enter():
    """Runs this program anew in network, mount and process namespaces of its own, and ends as that ends; whatever ends
    this one ends all that is in there. Its working directory stays what it is, also where /run or /var/lib is another
    one then."""
    if is_inside():
        return
    # What is installed is still to be seen; a fast path that this machine has is not.
    script = """mount -t tmpfs tmpfs /run && mkdir /run/netns /run/causeway /run/node /run/dpkg
                mount --bind /var/lib/dpkg /run/dpkg && mount -t tmpfs tmpfs /var/lib
                mount -t bpf bpf /sys/fs/bpf || :
                ip link set lo up && exec "$0" "$@" """
    inside = subprocess.Popen([
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
        "sh", "-ec", script, sys.executable] + sys.argv, env=os.environ | {"CAUSEWAY_BENCH": "inside"})
    # unshare itself ends neither by SIGTERM nor by SIGINT.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(inside.wait())
    finally:
        inside.kill()
        inside.wait()


def need(*tools):
    """Ends with the names of the packages, where tools are missing."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        names = ", ".join(f"{tool} (package {PACKAGES[tool]})" for tool in missing)
        sys.exit(f"hack/bench/run: this is missing: {names}; hack/packages --bench installs it")


def need_root_and_programs():
    if os.geteuid():
        sys.exit("hack/bench/run: namespaces need root: run it with sudo")
    need("unshare", "setpriv", "ip")
    if not (os.access(PLUGIN, os.X_OK) and os.access(HELPER, os.X_OK)):
        sys.exit("hack/bench/run: build first: swift build -c release --static-swift-stdlib")


def built(name):
    """The C program of this name beside this file, built."""
    program = f"/run/{name}"
    if not os.path.exists(program):
        subprocess.check_call(["gcc", "-O2", "-static", "-o", program, f"{HERE}/{name}.c"])
    return program


def sh(script):
    subprocess.check_call(["sh", "-ec", script])


class Node:
    """A machine of its own as far as it goes: its network, and the directories where the programs keep what they know. A
    process that sleeps holds it, and ends with the process namespace."""

    def __init__(self, name):
        self.name = name
        # Without BPF objects there is no fast path, but all else.
        script = """for directory in /run/netns /run/causeway /run/node /var/lib; do mount -t tmpfs tmpfs $directory; done
                    mount -t bpf bpf /sys/fs/bpf || :
                    ip link set lo up && echo ready && exec sleep infinity"""
        self.holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-ec", script], stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            sys.exit(f"hack/bench/run: cannot make the namespaces of {name}")

    def command(self, *command):
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", *command]

    def run(self, *command, input=b""):
        """What it prints; it must succeed."""
        process = subprocess.run(self.command(*command), input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if process.returncode:
            told = (process.stdout + process.stderr).decode(errors="replace")
            sys.exit(f"hack/bench/run: {self.name}: {' '.join(command)} failed: {told}")
        return process.stdout

    def sh(self, script):
        return self.run("sh", "-ec", script)

    def stop(self):
        self.holder.kill()
        self.holder.wait()
