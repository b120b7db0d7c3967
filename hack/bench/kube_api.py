"""A Kubernetes API that has only nodes: list, watch and patch of a status for the helper, DELETE and POST of a node for
the measurement.

    kube_api.py PORT NODES
"""

import sys

sys.dont_write_bytecode = True

import http.server
import json
import threading
import time
import urllib.parse

import stores

news = threading.Condition()
nodes, texts = {}, {}  # by name: the object, and its text
events = []  # version and text
version = 0


def node(index):
    """A node object. It has about as many fields that the helper does not read as a real one."""
    fields = stores.fields(index)
    images = [{"names": [f"registry.example/image-{number}@sha256:{number:064x}", f"registry.example/image-{number}:1.0"],
               "sizeBytes": 100000000 + number} for number in range(20)]
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": fields["name"], "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"kubernetes.io/os": "linux"},
            "annotations": {"flannel.alpha.coreos.com/public-ip": fields["publicIP"],
                            "flannel.alpha.coreos.com/backend-type": "host-gw",
                            "flannel.alpha.coreos.com/kube-subnet-manager": "true"}},
        "spec": {"podCIDR": fields["subnet"], "podCIDRs": [fields["subnet"]]},
        "status": {"addresses": [{"type": "InternalIP", "address": fields["publicIP"]}],
                   "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}], "images": images},
    }


def change(kind, thing):
    """Records an event. The caller holds the lock."""
    global version
    version += 1
    name = thing["metadata"]["name"]
    thing["metadata"]["resourceVersion"] = str(version)
    text = json.dumps(thing)
    if kind == "DELETED":
        del nodes[name], texts[name]
    else:
        nodes[name], texts[name] = thing, text
    events.append((version, f'{{"type": "{kind}", "object": {text}}}\n'.encode()))
    news.notify_all()


def merge(target, patch):
    for key, value in patch.items():
        if isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        elif key == "conditions":
            others = [each for each in target.get(key, []) if each["type"] not in {new["type"] for new in value}]
            target[key] = others + value
        else:
            target[key] = value


class API(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def name(self):
        return self.path.split("/")[4]

    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        if query.get("watch") == "true":
            return self.watch(int(query["resourceVersion"]), float(query.get("timeoutSeconds", 300)))
        with news:
            start, limit, names = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(nodes), list(nodes)
            metadata = {"resourceVersion": str(version)}
            if start + limit < len(names):
                metadata["continue"] = str(start + limit)
            items = ",".join(texts[name] for name in names[start:start + limit])
        self.answer(
            f'{{"kind": "NodeList", "apiVersion": "v1", "metadata": {json.dumps(metadata)}, "items": [{items}]}}'.encode())

    def watch(self, seen, limit):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            with news:
                # Each node began as an event, so that the version is also an index of the list.
                while len(events) <= seen and time.monotonic() < deadline:
                    news.wait(1)
                new = events[seen:]
                seen = len(events)
            text = b"".join(text for _, text in new)
            if text:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.write(b"0\r\n\r\n")

    def do_PATCH(self):
        patch = self.body()
        with news:
            thing = json.loads(texts[self.name()])
            merge(thing, patch)
            change("MODIFIED", thing)
            text = texts[self.name()].encode()
        self.answer(text)

    def do_DELETE(self):
        with news:
            change("DELETED", nodes[self.name()])
        self.answer(b"{}")

    def do_POST(self):
        index = self.body()["index"]
        with news:
            change("ADDED", node(index))
        self.answer(b"{}")


with news:
    for each in range(int(sys.argv[2])):
        change("ADDED", node(each))
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), API).serve_forever()
