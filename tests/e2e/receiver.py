"""A receiver of webhooks in a process of its own, of nothing but Python's own HTTP server: 200 to every POST.

`python -m tests.e2e.receiver [CERTIFICATE KEY]` prints its port, then one JSON line for each request.
"""

import base64
import json
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ONE_BY_ONE = threading.Lock()
"""Requests are handled by threads: their lines must not be mixed."""


class Handler(BaseHTTPRequestHandler):
    """Writes every request down."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = {
            "line": self.requestline,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": base64.b64encode(body).decode(),
        }
        with ONE_BY_ONE:
            print(json.dumps(request), flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nothing beside the requests."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
