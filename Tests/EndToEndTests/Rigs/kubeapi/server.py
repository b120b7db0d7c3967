"""A Kubernetes API that stores Nodes only, with faults that a test asks for.

It serves HTTPS with the certificates of a directory, and commands (a JSON object in a POST) on 127.0.0.1:9000.
The directory also holds its state, so that it can be stopped and started again.
"""
import copy
import http.server
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse

home, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
lock = threading.Condition()
state = {"version": 1000, "nodes": {}, "events": [], "oldest": 1000, "tokens": ["token-1"]}
records = []  # requests: verb, resource, query, content type
faults = {}  # operation -> list of kinds, each for one request
forbidden = set()  # verb and resource
bookmarks = 1.0  # seconds
silenced = 0  # watches that began before this generation send no more events
dropped = 0  # watches that began before this generation end
generation = 0


def load():
    try:
        with open(home + "/state.json") as file:
            state.update(json.load(file))
    except FileNotFoundError:
        pass


def save():
    with open(home + "/state.json.new", "w") as file:
        json.dump(state, file)
    os.rename(home + "/state.json.new", home + "/state.json")


def change(kind, node):
    """Adds an event for a changed node; the caller holds the lock."""
    state["version"] += 1
    node["metadata"]["resourceVersion"] = str(state["version"])
    state["events"].append([state["version"], kind, copy.deepcopy(node)])
    lock.notify_all()


def merge(target, patch):
    """A strategic merge patch, as far as nodes need it: conditions are merged by their type."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        elif key == "conditions":
            present = target.setdefault(key, [])
            for item in value:
                old = next((each for each in present if each["type"] == item["type"]), None)
                if old is None:
                    present.append(item)
                else:
                    merge(old, item)
        else:
            target[key] = value


def command(order):
    global bookmarks, silenced, dropped, generation
    what = order["do"]
    if what == "put":
        for node in order["nodes"]:
            name = node["metadata"]["name"]
            kind = "MODIFIED" if name in state["nodes"] else "ADDED"
            state["nodes"][name] = node
            change(kind, node)
    elif what == "merge":
        node = state["nodes"][order["name"]]
        merge(node, order["patch"])
        change("MODIFIED", node)
    elif what == "delete":
        change("DELETED", state["nodes"].pop(order["name"]))
    elif what == "get":
        return state["nodes"].get(order["name"])
    elif what == "compact":
        state["oldest"] = state["version"] + 1
        state["version"] += 1
        state["events"] = []
    elif what == "fail":
        faults.setdefault(order["at"], []).extend([order["how"]] * order.get("times", 1))
    elif what == "mend":
        faults.clear()
    elif what == "left":
        return len(faults.get(order["at"], []))
    elif what == "silence":
        generation += 1
        silenced = generation
    elif what == "drop":
        generation += 1
        dropped = generation
        lock.notify_all()
    elif what == "bookmarks":
        bookmarks = order["seconds"]
    elif what == "tokens":
        state["tokens"] = order["tokens"]
    elif what == "forbid":
        forbidden.add((order["verb"], order["resource"]))
    elif what == "allow":
        forbidden.clear()
    elif what == "records":
        return records
    return True


class Control(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            answer = json.dumps(command(order)).encode()
            if order["do"] in ("put", "merge", "delete", "compact", "tokens"):
                save()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class API(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.serve()

    def do_PATCH(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def do_PUT(self):
        self.serve()

    def do_DELETE(self):
        self.serve()

    def log_message(self, *_):
        pass

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = url.path.strip("/").split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        resource = "/".join([parts[2]] + parts[4:]) if parts[:2] == ["api", "v1"] and len(parts) > 2 else url.path
        verb = {"GET": "get" if len(parts) > 3 else "list", "PATCH": "patch"}.get(self.command, self.command.lower())
        if verb == "list" and query.get("watch") == "true":
            verb = "watch"
        with lock:
            records.append([verb, resource, query, self.headers.get("Content-Type")])
            kinds = faults.get(verb)
            fault = kinds.pop(0) if kinds else None
            allowed = (verb, resource) not in forbidden
        certificate = self.connection.getpeercert()
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not certificate and token not in state["tokens"]:
            return self.status(401, "Unauthorized")
        if not allowed or resource not in ("nodes", "nodes/status"):
            what = f'nodes is forbidden: User "causeway" cannot {verb} resource "{resource}"'
            return self.status(403, what)
        if fault == "500":
            return self.status(500, "etcdserver: request timed out")
        if fault in ("422", "429"):
            return self.status(int(fault), "not so")
        if fault == "410":
            return self.status(410, "The provided continue parameter is too old")
        if fault == "html":
            page = b"<html><body>Bad gateway</body></html>"
            return self.whole(200, page, "text/html")
        if fault == "silent":
            return time.sleep(3600)
        if verb == "list":
            self.list(query, fault)
        elif verb == "watch":
            self.watch(query, fault)
        elif verb == "get":
            with lock:
                node = copy.deepcopy(state["nodes"].get(parts[3]))
            self.whole(200, json.dumps(node).encode()) if node else self.status(404, "not found")
        else:
            self.patch(parts[3], json.loads(body))

    def status(self, code, message):
        text = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
        self.whole(code, json.dumps(text).encode())

    def whole(self, code, text, kind="application/json"):
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def begin(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()

    def cut(self):
        """Closes the connection in the middle of an answer."""
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def list(self, query, fault):
        with lock:
            limit = int(query.get("limit", 0)) or len(state["nodes"]) + 1
            # A list shows one moment: later pages continue the names of the first.
            version, start = state["version"], 0
            if "continue" in query:
                version, start = json.loads(query["continue"])
                if version < state["oldest"]:
                    return self.status(410, "The provided continue parameter is too old")
            names = sorted(state["nodes"])
            items = [state["nodes"][name] for name in names[start : start + limit]]
            metadata = {"resourceVersion": str(version)}
            if start + limit < len(names):
                metadata["continue"] = json.dumps([version, start + limit])
            answer = {"kind": "NodeList", "apiVersion": "v1", "metadata": metadata, "items": items}
            text = json.dumps(answer).encode()
        if fault == "truncated":
            return self.whole(200, text[: len(text) // 2])
        if fault == "cut":
            self.begin()
            self.chunk(text[: len(text) // 2])
            return self.cut()
        self.begin()
        # Chunks end inside of words. A slow answer begins byte by byte.
        position = 0
        while position < len(text):
            size = 1 if fault == "slow" and position < 200 else 1021
            self.chunk(text[position : position + size])
            position += size
            if fault == "slow" and position < 200:
                time.sleep(0.01)
        self.wfile.write(b"0\r\n\r\n")

    def watch(self, query, fault):
        seen = int(query["resourceVersion"])
        with lock:
            if seen < state["oldest"] - 1 and fault != "late":
                fault = "expired"
            started = generation
        if fault == "gone":
            return self.status(410, "too old resource version")
        self.begin()

        def event(kind, thing):
            self.chunk(json.dumps({"type": kind, "object": thing}).encode() + b"\n")

        if fault in ("expired", "error"):
            code = 410 if fault == "expired" else 500
            event("ERROR", {"kind": "Status", "status": "Failure", "code": code, "message": "too old resource version"})
            return self.wfile.write(b"0\r\n\r\n")
        if fault == "garbage":
            self.chunk(b'{"type":"ADDED","object":{"metadata":}}\n')
            return self.cut()
        deadline = time.monotonic() + float(query["timeoutSeconds"])
        last = time.monotonic()
        while time.monotonic() < deadline:
            with lock:
                if started < silenced:
                    lock.wait(0.5)
                    continue
                if started < dropped:
                    return self.cut()
                events = [each for each in state["events"] if each[0] > seen]
                if not events:
                    lock.wait(0.1)
            for version, kind, node in events:
                event(kind, node)
                seen, last = version, time.monotonic()
            if time.monotonic() - last > bookmarks:
                with lock:
                    if any(each[0] > seen for each in state["events"]):
                        continue
                    seen = max(seen, state["version"])
                event("BOOKMARK", {"kind": "Node", "metadata": {"resourceVersion": str(seen)}})
                last = time.monotonic()
            if fault == "short":
                break
        self.wfile.write(b"0\r\n\r\n")

    def patch(self, name, patch):
        if "strategic-merge" not in self.headers["Content-Type"]:
            return self.status(415, "this would replace all conditions")
        with lock:
            node = state["nodes"].get(name)
            if node is None:
                return self.status(404, f'nodes "{name}" not found')
            merge(node, patch)
            change("MODIFIED", node)
            save()
            text = json.dumps(node).encode()
        self.whole(200, text)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET

    def finish_request(self, request, client):
        try:
            super().finish_request(context.wrap_socket(request, server_side=True), client)
        except (ssl.SSLError, OSError):
            pass

    def handle_error(self, *_):
        pass


load()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(home + "/server.crt", home + "/server.key")
context.load_verify_locations(home + "/ca.crt")
context.verify_mode = ssl.CERT_OPTIONAL
threading.Thread(
    target=http.server.ThreadingHTTPServer(("127.0.0.1", 9000), Control).serve_forever, daemon=True
).start()
Server((address, port), API).serve_forever()
