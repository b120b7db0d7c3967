"""What hack/torture, hack/soak and hack/bench/routes share: namespaces of their own, stores that tell of many nodes, and
what /proc tells of a process."""

import base64
import http.client
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time

BIN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.build/release")


def enter(directories):
    """Goes on in network, mount and process namespaces of its own, with these directories empty: links, mounts, files and
    processes go with them."""
    if os.environ.get("CAUSEWAY_SANDBOX") == "inside":
        return
    script = f"""for d in {" ".join(directories)}
                 do mkdir -p $d && mount -t tmpfs -o mode=0755 tmpfs $d || exit; done
                 ip link set lo up && exec "$0" "$@" """
    os.environ["CAUSEWAY_SANDBOX"] = "inside"
    os.execvp("unshare", [
        "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
        "sh", "-c", script, sys.executable, os.path.abspath(sys.argv[0])] + sys.argv[1:])


def memory(pid, name):
    """A line of /proc/PID/status that is a size, in MiB."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(name))


def network(dual):
    config = {"Network": "10.0.0.0/8"}
    return config | ({"EnableIPv6": True, "IPv6Network": "fd00:2::/48"} if dual else {})


def node(index, dual, address=None):
    """A node by its number, at the address of that number unless it moved."""
    address = index if address is None else address
    fields = {"name": f"node-{index}", "publicIP": str(ipaddress.ip_address("172.16.0.1") + address),
              "subnet": f"10.{index >> 8}.{index & 255}.0/24"}
    if dual:
        fields["publicIPv6"] = str(ipaddress.ip_address("fd00:1::1") + address)
        fields["ipv6Subnet"] = f"fd00:2:0:{index:x}::/64"
    return fields


class NodesFile:
    path = "/run/nodes.json"
    options = ["--nodes-file", path]

    def __init__(self, count, dual):
        self.dual = dual
        self.write(count)

    def write(self, count):
        self.put([node(index, self.dual) for index in range(count)])

    def put(self, nodes):
        with open(self.path + ".new", "w") as file:
            json.dump({"network": network(self.dual), "nodes": nodes}, file)
        os.rename(self.path + ".new", self.path)

    def stop(self):
        pass


class Etcd:
    """One member on loopback, whose data are in memory."""
    prefix = "/coreos.com/network"
    options = ["--store", "etcd", "--etcd-endpoints", "http://127.0.0.1:2379", "--iface", "eth0"]

    def __init__(self, count, dual):
        self.dual = dual
        self.server = subprocess.Popen(
            ["etcd", "--data-dir", "/run/etcd", "--log-level", "error", "--listen-client-urls", "http://127.0.0.1:2379",
             "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380"],
            stderr=subprocess.DEVNULL, env=os.environ | {"GOMAXPROCS": "1", "ETCD_UNSUPPORTED_ARCH": os.uname().machine})
        deadline = time.perf_counter() + 30
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=10)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.put("config", network(dual))
                break
            except (OSError, AssertionError):
                if time.perf_counter() > deadline:
                    raise
                time.sleep(0.1)
        for start in range(0, count, 100):
            self.ask("kv/txn", {"success": [{"requestPut": self.record(index)}
                                            for index in range(start, min(start + 100, count))]})

    def ask(self, path, body):
        self.connection.request("POST", "/v3/" + path, json.dumps(body))
        response = self.connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return json.loads(text)

    def key(self, name):
        return base64.b64encode(f"{self.prefix}/{name}".encode()).decode()

    def put(self, name, value):
        self.ask("kv/put", {"key": self.key(name), "value": base64.b64encode(json.dumps(value).encode()).decode()})

    def name(self, index):
        fields = node(index, self.dual)
        subnets = [fields["subnet"]] + ([fields["ipv6Subnet"]] if self.dual else [])
        return "subnets/" + "&".join(subnet.replace("::/", "::-").replace("/", "-") for subnet in subnets)

    def record(self, index, address=None):
        fields = node(index, self.dual, address)
        value = {"PublicIP": fields["publicIP"], "PublicIPv6": fields.get("publicIPv6"), "BackendType": "host-gw"}
        return {"key": self.key(self.name(index)), "value": base64.b64encode(json.dumps(value).encode()).decode()}

    def remove(self, index):
        self.ask("kv/deleterange", {"key": self.key(self.name(index))})

    def add(self, index, address=None):
        self.ask("kv/put", self.record(index, address))

    def stop(self):
        self.server.terminate()
        self.server.wait(20)
