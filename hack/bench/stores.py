"""Stores of nodes for the helper. Their `remove` and `add` change one node and return the time of the change."""

import base64
import http.client
import ipaddress
import json
import os
import socket
import subprocess
import sys
import time

from private import HERE

NETWORK = {"Network": "10.0.0.0/8"}
BOTH = NETWORK | {"EnableIPv6": True, "IPv6Network": "fd00:2::/48"}


def fields(index, address=None, dual=False):
    """A node by its number, at the address of that number or of another one; with IPv4 or with both families."""
    address = index if address is None else address
    node = {"name": f"node-{index}", "publicIP": str(ipaddress.ip_address("172.16.0.1") + address), "subnet": subnet(index)}
    if dual:
        node["publicIPv6"] = str(ipaddress.ip_address("fd00:1::1") + address)
        node["ipv6Subnet"] = f"fd00:2:0:{index:x}::/64"
    return node


def subnet(index):
    return f"10.{index >> 8}.{index & 255}.0/24"


class NodesFile:
    name = "file"
    path = "/run/nodes.json"
    options = ["--nodes-file", path]
    rate = 5  # changes a second

    def __init__(self, count, dual=False):
        self.dual = dual
        self.nodes = {index: fields(index, dual=dual) for index in range(count)}
        self.write()

    def write(self):
        with open(self.path + ".new", "w") as file:
            json.dump({"network": BOTH if self.dual else NETWORK, "nodes": list(self.nodes.values())}, file)
        moment = time.perf_counter()
        os.rename(self.path + ".new", self.path)
        return moment

    def remove(self, index):
        del self.nodes[index]
        return self.write()

    def add(self, index, address=None):
        self.nodes[index] = fields(index, address, self.dual)
        return self.write()

    def stop(self):
        pass


class Server:
    """A store that is a server, asked by HTTP on loopback."""
    rate = 100

    def __init__(self, port, command):
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"GOMAXPROCS": "1", "ETCD_UNSUPPORTED_ARCH": os.uname().machine})
        deadline = time.perf_counter() + 60
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                self.connection.connect()
                self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self.begin()
            except OSError as error:
                if time.perf_counter() > deadline or self.process.poll() is not None:
                    sys.exit(f"hack/bench/run: {command[0]} does not answer: {error}")
                time.sleep(0.1)

    def begin(self):
        """Sends the first request; an OSError if the server does not answer yet."""

    def ask(self, method, path, body=None):
        moment = time.perf_counter()
        self.connection.request(method, path, json.dumps(body) if body else None)
        response = self.connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise OSError(f"{method} {path}: {response.status} {text[:200]}")
        return moment

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Etcd(Server):
    """etcd with one member, whose data are in memory."""
    name = "etcd"
    prefix = "/coreos.com/network"
    options = ["--store", "etcd", "--etcd-endpoints", "http://127.0.0.1:2379", "--iface", "eth0"]

    def __init__(self, count, dual=False):
        self.dual = dual
        directory = f"/run/etcd-{count}"
        super().__init__(2379, [
            "etcd", "--data-dir", directory, "--log-level", "error", "--listen-client-urls", "http://127.0.0.1:2379",
            "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380"])
        for start in range(0, count, 100):
            self.ask("POST", "/v3/kv/txn", {"success": [{"requestPut": self.record(index)}
                                                        for index in range(start, min(start + 100, count))]})

    def begin(self):
        network = json.dumps(BOTH if self.dual else NETWORK)
        self.ask("POST", "/v3/kv/put", {"key": self.text(f"{self.prefix}/config"), "value": self.text(network)})

    @staticmethod
    def text(text):
        return base64.b64encode(text.encode()).decode()

    def key(self, index):
        node = fields(index, dual=self.dual)
        subnets = [node["subnet"]] + ([node["ipv6Subnet"]] if self.dual else [])
        return self.text(f"{self.prefix}/subnets/" + "&".join(text.replace("::/", "::-").replace("/", "-") for text in subnets))

    def record(self, index, address=None):
        node = fields(index, address, self.dual)
        value = {"PublicIP": node["publicIP"], "PublicIPv6": node.get("publicIPv6"), "BackendType": "host-gw"}
        return {"key": self.key(index), "value": self.text(json.dumps(value))}

    def remove(self, index):
        return self.ask("POST", "/v3/kv/deleterange", {"key": self.key(index)})

    def add(self, index, address=None):
        return self.ask("POST", "/v3/kv/put", self.record(index, address))


class Kubernetes(Server):
    """A Kubernetes API that has only nodes (kube_api.py)."""
    name = "Kubernetes"
    options = ["--store", "kubernetes", "--kube-api-url", "http://127.0.0.1:8001", "--node-name", "node-0",
               "--net-config-path", "/run/net-conf.json", "--iface", "eth0"]

    def __init__(self, count):
        with open("/run/net-conf.json", "w") as file:
            json.dump(NETWORK, file)
        super().__init__(8001, [sys.executable, f"{HERE}/kube_api.py", "8001", str(count)])

    def begin(self):
        self.ask("GET", "/api/v1/nodes?limit=1")

    def remove(self, index):
        return self.ask("DELETE", f"/api/v1/nodes/node-{index}")

    def add(self, index):
        return self.ask("POST", "/api/v1/nodes", {"index": index})
