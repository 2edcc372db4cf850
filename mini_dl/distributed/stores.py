"""Keys and values that processes share: within one process, in a file, or served by one of them over a socket."""

from __future__ import annotations

import json
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from os import environ
from pathlib import Path
from socket import create_connection, socket
from typing import Any, TypeAlias
from urllib.parse import urlparse

from mini_dl._parallel_names import DistStoreError, default_pg_timeout

try:
    import fcntl
except ImportError:  # Windows, which locks files differently
    fcntl = None  # type: ignore[assignment]

Value: TypeAlias = str | bytes
Table: TypeAlias = dict[str, str]
"""Values as text, each byte one letter."""
POLL = 0.005
"""Seconds between two checks of an awaited key."""


def _text(value: Value) -> str:
    return value.encode().decode("latin-1") if isinstance(value, str) else bytes(value).decode("latin-1")


def _compared(table: Table, key: str, expected: str, desired: str) -> str:
    """Store `desired` if the value is `expected`, or absent and `expected` is empty; return the resulting value."""
    if table.get(key, "") == expected:
        table[key] = desired
    return table.get(key, expected)


def _added(table: Table, key: str, amount: int) -> int:
    table[key] = str(int(table.get(key, "0")) + amount)
    return int(table[key])


OPERATIONS: dict[str, Callable[..., Any]] = {
    "set": lambda table, key, value: table.update({key: value}),
    "get": lambda table, key: table[key],
    "add": _added,
    "append": lambda table, key, value: table.update({key: table.get(key, "") + value}),
    "check": lambda table, keys: all([key in table for key in keys]),
    "compare_set": _compared,
    "delete_key": lambda table, key: table.pop(key, None) is not None,
    "num_keys": lambda table: len(table),
    "list_keys": lambda table: list(table),
}
"""The atomic operations on a table."""


class Store:
    """Keys and values. A value is text or bytes, and is returned as bytes."""

    timeout = default_pg_timeout

    def _do(self, operation: str, *args: object) -> Any:
        """One of the `OPERATIONS`, with keys as they are stored."""
        raise NotImplementedError

    def set_timeout(self, timeout: timedelta) -> None:
        """Set how long `get` and `wait` wait."""
        self.timeout = timeout

    def set(self, key: str, value: Value) -> None:
        """Store a value."""
        self._do("set", key, _text(value))

    def get(self, key: str) -> bytes:
        """The value of a key, once it has one. DistStoreError after the timeout."""
        self.wait([key])
        return str(self._do("get", key)).encode("latin-1")

    def add(self, key: str, amount: int) -> int:
        """Add to a number, initially 0; return the sum."""
        return int(self._do("add", key, amount))

    def append(self, key: str, value: Value) -> None:
        """Append to a value."""
        self._do("append", key, _text(value))

    def check(self, keys: list[str]) -> bool:
        """Whether all these keys have values."""
        return bool(self._do("check", keys))

    def compare_set(self, key: str, expected_value: Value, desired_value: Value) -> bytes:
        """Store a value if the key has the expected one; return the resulting value."""
        return str(self._do("compare_set", key, _text(expected_value), _text(desired_value))).encode("latin-1")

    def delete_key(self, key: str) -> bool:
        """Delete a key; return whether it existed."""
        return bool(self._do("delete_key", key))

    def num_keys(self) -> int:
        """The number of keys."""
        return int(self._do("num_keys"))

    def list_keys(self) -> list[str]:
        """The keys."""
        return list(self._do("list_keys"))

    def wait(self, keys: list[str], timeout: timedelta | None = None) -> None:
        """Return once all these keys have values. DistStoreError after the timeout."""
        limit = self.timeout if timeout is None else timeout
        end = time.monotonic() + limit.total_seconds()
        while not self.check(keys):
            if time.monotonic() > end:
                raise DistStoreError(f"wait timeout after {round(limit.total_seconds() * 1000)}ms, keys: {', '.join(keys)}")
            time.sleep(POLL)

    def multi_get(self, keys: list[str]) -> list[bytes]:
        """The values of these keys."""
        return [self.get(key) for key in keys]

    def multi_set(self, keys: list[str], values: list[Value]) -> None:
        """Store these values."""
        for key, value in zip(keys, values):
            self.set(key, value)

    def has_extended_api(self) -> bool:
        """Whether `append`, `multi_get` and `multi_set` are available."""
        return True


class HashStore(Store):
    """A store in this process, for its threads."""

    def __init__(self) -> None:
        self._table: Table = {}
        self._lock = threading.Lock()

    def _do(self, operation: str, *args: object) -> Any:
        with self._lock:
            return OPERATIONS[operation](self._table, *args)


class FileStore(Store):
    """A store in a file that all processes can access, which must not exist before."""

    def __init__(self, file_name: str, world_size: int = -1) -> None:
        self.path = file_name
        Path(file_name).touch()

    def _do(self, operation: str, *args: object) -> Any:
        with open(self.path, "r+", encoding="utf-8") as file:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX)
            text = file.read()
            table: Table = json.loads(text) if text else {}
            result = OPERATIONS[operation](table, *args)
            file.seek(0)
            file.write(json.dumps(table))
            file.truncate()
            return result


class PrefixStore(Store):
    """A part of another store: its keys begin with a prefix."""

    def __init__(self, prefix: str, store: Store) -> None:
        self.prefix, self.underlying_store = prefix, store

    @property
    def timeout(self) -> timedelta:  # type: ignore[override]
        return self.underlying_store.timeout

    def set_timeout(self, timeout: timedelta) -> None:
        self.underlying_store.set_timeout(timeout)

    def _do(self, operation: str, *args: object) -> Any:
        if not args:
            return self.underlying_store._do(operation)
        key, *rest = args
        within = [f"{self.prefix}/{each}" for each in key] if isinstance(key, list) else f"{self.prefix}/{key}"
        return self.underlying_store._do(operation, within, *rest)


class TCPStore(Store):
    """A store in the process with `is_master`, which the others reach at its host and port; 0 for any port."""

    def __init__(
        self, host_name: str, port: int = 29500, world_size: int | None = None, is_master: bool = False,
        timeout: timedelta = timedelta(seconds=300), wait_for_workers: bool = True, multi_tenant: bool = False,
        master_listen_fd: int | None = None, use_libuv: bool = True,
    ) -> None:  # fmt: skip
        self.timeout, self.host, self.port = timeout, host_name, port
        self._lock = threading.Lock()
        if is_master:
            self._server = _Server(("", port), _Answers)
            self.port = int(self._server.server_address[1])
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self._socket = self._connection()
        if wait_for_workers and world_size is not None and world_size > 0:
            self._await_workers(world_size)

    def _connection(self) -> socket:
        end = time.monotonic() + self.timeout.total_seconds()
        while (found := self._connected(time.monotonic() > end)) is None:
            time.sleep(0.05)
        return found

    def _connected(self, last: bool) -> socket | None:
        try:
            return create_connection((self.host, self.port))
        except OSError as error:
            if last:
                raise DistStoreError(f"no store at {self.host}:{self.port}: {error}") from error
            return None

    def _await_workers(self, world_size: int) -> None:
        arrived = "init/"
        self.add(arrived, 1)
        end = time.monotonic() + self.timeout.total_seconds()
        while self.add(arrived, 0) < world_size:
            if time.monotonic() > end:
                raise DistStoreError(f"Timed out waiting for {world_size} processes at {self.host}:{self.port}")
            time.sleep(POLL)

    def _do(self, operation: str, *args: object) -> Any:
        with self._lock:
            _send(self._socket, [operation, *args])
            done, result = _received(self._socket)
        if not done:
            raise DistStoreError(result)
        return result


def _send(to: socket, message: object) -> None:
    data = json.dumps(message).encode()
    to.sendall(struct.pack("!I", len(data)) + data)


def _received(source: socket) -> Any:
    (size,) = struct.unpack("!I", _bytes_of(source, 4))
    return json.loads(_bytes_of(source, size))


def _bytes_of(source: socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise ConnectionError("the peer of a store has closed the connection")
        parts += part
    return bytes(parts)


class _Server(socketserver.ThreadingTCPServer):
    """The table of a `TCPStore`."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.store = HashStore()


class _Answers(socketserver.BaseRequestHandler):
    """One connection to it."""

    server: _Server

    def handle(self) -> None:
        while True:
            try:
                operation, *args = _received(self.request)
            except ConnectionError:
                return
            try:
                answer = [True, self.server.store._do(operation, *args)]
            except Exception as error:
                answer = [False, repr(error)]
            _send(self.request, answer)


def rendezvous(url: str, rank: int = -1, world_size: int = -1, **options: object) -> Iterator[tuple[Store, int, int]]:
    """The store at an address, with rank and number of processes: as given, else from the address or the environment.

    ``env://``, ``tcp://host:port?rank=0&world_size=2``, ``file:///path``. RuntimeError for other schemes; ValueError if
    something is missing.
    """
    parts = urlparse(url)
    query = dict(each.partition("=")[::2] for each in parts.query.split("&") if each)
    if parts.scheme not in ("env", "tcp", "file"):
        raise RuntimeError(f"No rendezvous handler for {parts.scheme}://")
    if parts.scheme == "env":
        names = {"rank": "RANK", "world_size": "WORLD_SIZE", "host": "MASTER_ADDR", "port": "MASTER_PORT"}
        query = {**{name: environ[variable] for name, variable in names.items() if variable in environ}, **query}
    rank = int(query.get("rank", rank)) if rank == -1 else rank
    world_size = int(query.get("world_size", world_size)) if world_size == -1 else world_size
    for name, value in (("rank", rank), ("world size", world_size)):
        if value == -1 and not (parts.scheme == "file" and name == "world size"):
            raise ValueError(f"Error initializing torch.distributed using {parts.scheme}:// rendezvous: {name} parameter missing")
    if parts.scheme == "file":
        yield FileStore(parts.path, world_size), rank, world_size
        return
    host, port = query.get("host", parts.hostname or "127.0.0.1"), int(query.get("port", parts.port or 29500))
    yield TCPStore(host, port, world_size, rank == 0), rank, world_size
