"""Simulators on loopback: one HTTP server each, on 127.0.0.1 only, one request at a time per world."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from urllib.parse import parse_qsl, urlsplit

from connector.base import Reply
from connector.sandbox.wire import Drop, Request, Simulator

HOST = "127.0.0.1"
HANG_SECONDS = 120.0


class Server:
    """One simulator behind a port. Port 0 takes a free one; `url` says which."""

    def __init__(self, simulator: Simulator, *, port: int = 0, lock: Lock | None = None) -> None:
        self.simulator = simulator
        self._lock = lock or Lock()
        self._stopping = Event()
        self._http = _HTTPServer((HOST, port), _Handler)
        self._http.owner = self
        self._thread = Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        """Base URL, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> Server:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Answer no more; requests under way are finished."""
        self._stopping.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def answer(self, request: Request) -> Reply:
        """Let the simulator answer, alone in its world."""
        with self._lock:
            return self.simulator.handle(request)

    def hang(self) -> None:
        """Keep a client waiting until it gives up or the server stops."""
        self._stopping.wait(HANG_SECONDS)


@contextmanager
def serving(simulators: Sequence[Simulator], *, port_base: int = 0) -> Iterator[list[Server]]:
    """Serve all of them, in order from `port_base` on (0: free ports), until the block ends. All share one lock."""
    lock = Lock()
    servers: list[Server] = []
    try:
        for place, simulator in enumerate(simulators):
            servers.append(Server(simulator, port=port_base + place if port_base else 0, lock=lock).start())
        yield servers
    finally:
        for server in servers:
            server.stop()


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    owner: Server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _HTTPServer

    def handle_one_call(self) -> None:
        """Read the request, let the simulator answer, write the reply."""
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        request = Request(
            method=self.command,
            path=parts.path,
            query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
        )
        try:
            reply = self.server.owner.answer(request)
        except Drop as drop:
            if drop.timeout:
                self.server.owner.hang()
            self._cut()
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one_call  # noqa: N815 - the base class looks for these names

    def _cut(self) -> None:
        """Close without an answer: a reset, as a dying server sends it."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        if not self.wfile.closed:
            try:
                self.wfile.flush()
            except OSError:
                return
        self.wfile.close()
        self.rfile.close()

    def version_string(self) -> str:
        return "regulars-sandbox"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Silent: the simulator keeps its own counts."""
