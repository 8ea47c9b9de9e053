"""A proxy between bertlab and a tracking server that imitates faults of networks and servers.

It forwards every request. Then a fault may follow: the answer is late, is lost (the server did the work, but the client
reads 500 or a closed connection), or contains other numbers than the server's.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes]  # status and content
Fault = Callable[[str, int, Answer], Answer | None]  # path, request count, the true answer; None: hang up
HOP = {"connection", "transfer-encoding", "content-length", "content-encoding", "accept-encoding", "host"}


@dataclass
class Proxy:
    """Address for clients, and the count of each request. `fault` may be changed at any time."""

    uri: str
    fault: Fault
    asked: Counter[str] = field(default_factory=Counter)


@contextmanager
def proxy(port: int, fault: Fault) -> Iterator[Proxy]:
    """Run a proxy in front of the server at a port of this machine."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            server.request(self.command, self.path, content, headers)
            told = server.getresponse()
            true = told.status, told.read()
            server.close()
            path = self.path.partition("?")[0]
            with lock:
                started.asked[path] += 1
                times = started.asked[path]
            answer = started.fault(path, times, true)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Type", told.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    started = Proxy(f"http://127.0.0.1:{server.server_port}", fault)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield started
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def honest(path: str, times: int, true: Answer) -> Answer:
    """Answer as the server did."""
    return true


def late(path: str, times: int, true: Answer) -> Answer:
    """Answer after a tenth of a second."""
    time.sleep(0.1)
    return true


def losing(ending: str, first: int, how: int | None) -> Fault:
    """Return a fault that loses the first answers for paths with this end; `how`: a status, or None to hang up."""

    def fault(path: str, times: int, true: Answer) -> Answer | None:
        if not path.endswith(ending) or times > first:
            return true
        return None if how is None else (how, b'{"error_code": "INTERNAL_ERROR", "message": "lost"}')

    return fault


def failing(every: int, status: int) -> Fault:
    """Return a fault that answers every nth request for a path with a status, although the server did the work."""

    def fault(path: str, times: int, true: Answer) -> Answer:
        return (status, b'{"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}') if times % every == 0 else true

    return fault


def both(first: Fault, second: Fault) -> Fault:
    """Return a fault that changes the answer that another one lets through."""

    def fault(path: str, times: int, true: Answer) -> Answer | None:
        answer = first(path, times, true)
        return None if answer is None else second(path, times, answer)

    return fault


def lying(path: str, times: int, true: Answer) -> Answer:
    """Answer with every metric of a run raised by 1."""
    try:
        told = json.loads(true[1])
    except ValueError:
        return true
    return true[0], json.dumps(_raised(told)).encode()


def _raised(value: Any) -> Any:
    if isinstance(value, list):
        return [_raised(each) for each in value]
    if not isinstance(value, dict):
        return value
    if {"key", "value", "timestamp"} <= value.keys() and isinstance(value["value"], int | float):
        return {**value, "value": value["value"] + 1}
    return {name: _raised(each) for name, each in value.items()}
