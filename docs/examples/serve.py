"""A small HTTP service.

python serve.py digits.safetensors --port 8000
curl -d '{"images": [[0, 0.1, ...]]}' http://127.0.0.1:8000/read
"""

import argparse
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from model import Reader

LARGEST = 1 << 20
"""Bytes of a request."""


class Handler(BaseHTTPRequestHandler):
    reader = None

    def do_GET(self):
        self.answer(200, {"status": "ready"}) if self.path == "/health" else self.answer(404, {"error": "not found"})

    def do_POST(self):
        if self.path != "/read":
            return self.answer(404, {"error": "not found"})
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= LARGEST:
            return self.answer(413, {"error": f"a request has 1 to {LARGEST} bytes"})
        try:
            return self.answer(200, {"results": self.reader.read(json.loads(self.rfile.read(size))["images"])})
        except (ValueError, KeyError, TypeError) as error:
            return self.answer(400, {"error": f"{type(error).__name__}: {error}"})

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("--port", type=int, default=8000, help="0: any free port; it is printed")
    options = parser.parse_args()
    Handler.reader = Reader(options.weights)
    with ThreadingHTTPServer(("127.0.0.1", options.port), Handler) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
