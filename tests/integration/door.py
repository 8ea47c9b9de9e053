"""A door before a server: while it is closed nothing answers, as if the server had gone away."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from bertlab.commands.server.processes import free_port


class Door:
    """An address that leads to a port of this machine. Closing it breaks the connections through it."""

    def __init__(self, behind: int) -> None:
        self.port, self._behind, self._through = free_port(), behind, list[socket.socket]()
        self.uri = f"http://127.0.0.1:{self.port}"
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        Thread(target=self._let_in, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        for each in (self._listener, *self._through):
            _end(each)
        self._through.clear()

    def _let_in(self, listener: socket.socket) -> None:
        with suppress(OSError):  # the door was closed
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self._behind))
                self._through += [near, far]
                for one, other in ((near, far), (far, near)):
                    Thread(target=_pass_on, args=(one, other), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while content := one.recv(1 << 16):
            other.sendall(content)
    _end(other)


def _end(each: socket.socket) -> None:
    with suppress(OSError):  # it may have ended already
        each.shutdown(socket.SHUT_RDWR)
    each.close()


@contextmanager
def door(behind: int) -> Iterator[Door]:
    """Open a door before a port of this machine."""
    made = Door(behind)
    try:
        yield made
    finally:
        made.close()
