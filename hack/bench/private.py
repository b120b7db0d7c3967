"""The namespaces in which everything is measured. They end, with all that is in them, when the command ends."""

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
    """Whether this process was started by `enter`. The variable alone may be left by a shell, and this program changes
    the network."""
    return os.environ.get("CAUSEWAY_BENCH") == "inside" and os.getpid() == 1


def enter():
    """Runs this program again in new network, mount and process namespaces, and exits with its status. When this process
    ends, all processes in the namespaces end. The working directory stays, even below /run or /var/lib."""
    if is_inside():
        return
    # Debian's list of installed packages stays visible; a fast path of this machine does not.
    script = """mount -t tmpfs tmpfs /run && mkdir /run/netns /run/causeway /run/node /run/dpkg
                mount --bind /var/lib/dpkg /run/dpkg && mount -t tmpfs tmpfs /var/lib
                mount -t bpf bpf /sys/fs/bpf || :
                ip link set lo up && exec "$0" "$@" """
    inside = subprocess.Popen([
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc",
        "sh", "-ec", script, sys.executable] + sys.argv, env=os.environ | {"CAUSEWAY_BENCH": "inside"})
    # unshare itself does not end on SIGTERM or SIGINT.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(inside.wait())
    finally:
        inside.kill()
        inside.wait()


def need(*tools):
    """Exits with the names of the packages if tools are missing."""
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        names = ", ".join(f"{tool} (package {PACKAGES[tool]})" for tool in missing)
        sys.exit(f"hack/bench/run: missing: {names}; run hack/packages --bench")


def need_root_and_programs():
    if os.geteuid():
        sys.exit("hack/bench/run: network namespaces need root: run it with sudo")
    need("unshare", "setpriv", "ip")
    if not (os.access(PLUGIN, os.X_OK) and os.access(HELPER, os.X_OK)):
        sys.exit("hack/bench/run: build first: swift build -c release --static-swift-stdlib")


def built(name):
    """The path of the C program of this name, which is compiled at its first use."""
    program = f"/run/{name}"
    if not os.path.exists(program):
        subprocess.check_call(["gcc", "-O2", "-static", "-o", program, f"{HERE}/{name}.c"])
    return program


def sh(script):
    subprocess.check_call(["sh", "-ec", script])


class Node:
    """A node: a network namespace, and a mount namespace with the directories of the programs. A sleeping process holds
    both, and ends with the process namespace."""

    def __init__(self, name):
        self.name = name
        # If BPF objects cannot be mounted, only the fast path is missing.
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
        """Runs a command that must succeed; returns its output."""
        process = subprocess.run(self.command(*command), input=input, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if process.returncode:
            output = (process.stdout + process.stderr).decode(errors="replace")
            sys.exit(f"hack/bench/run: {self.name}: {' '.join(command)} failed: {output}")
        return process.stdout

    def sh(self, script):
        return self.run("sh", "-ec", script)

    def stop(self):
        self.holder.kill()
        self.holder.wait()
