"""A way to a server that can be cut around a commit: before the server has it, or before its answer."""

from __future__ import annotations

import contextlib
import select
import socket
import threading


class Proxy:
    """Passes bytes between clients and the server at ``host``, and cuts the next commit if told to.

    Attributes
    ----------
    cut : None, "before" or "after"
        Whether the server still gets the next commit. Goes back to None.
    meanwhile : callable
        Runs while the client waits for the answer that does not come.
    """

    def __init__(self, host: str, port: int) -> None:
        self.cut: str | None = None
        self.meanwhile = lambda: None
        self._target = (host, port)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        server = socket.create_connection(self._target)
        with client, server, contextlib.suppress(OSError):
            while True:
                for source in select.select([client, server], [], [])[0]:
                    data = source.recv(1 << 16)
                    if not data:
                        return
                    if source is client and self.cut and data.endswith(b"COMMIT\0"):
                        self._cut(server, data)
                        return
                    (server if source is client else client).sendall(data)

    def _cut(self, server: socket.socket, data: bytes) -> None:
        how, self.cut = self.cut, None
        if how == "after":
            server.sendall(data)
            answer = b" "
            while b"COMMIT" not in answer:
                answer = server.recv(1 << 16)
                assert answer, "the server ended the connection"
        server.close()
        self.meanwhile()
