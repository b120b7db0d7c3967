"""Gives scripted answers, one to each request, then only status 503. Prints its port, then each request."""
import http.server, json, sys, threading
answers, lock = json.loads(sys.argv[1]), threading.Lock()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with lock:
            print(self.command, self.path, body, flush=True)
            status, text = answers.pop(0) if answers else (503, "{}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    do_GET = do_POST = do_PATCH = answer
    def log_message(self, *arguments): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
