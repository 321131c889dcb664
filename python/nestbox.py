# SPDX-License-Identifier: GPL-2.0-or-later
"""Talks to a guest that nestbox run started: its control socket, without anything to build.

    import nestbox

    with nestbox.connect("main") as guest:
        area = guest.vmalloc(size=64 << 10)["address"]
        for one in guest.areas():
            print(one["line"])
        guest.vfree(address=area)

Every command of docs/protocol.md is a method, with '_' for '-'; arguments are keywords; what the
command returns is the method's value. A refusal is an Error, with the argument it is about.
"""

import json
import os
import socket
import struct

__all__ = ["Error", "Guest", "connect", "guests"]


class Error(Exception):
    """What the guest or its service answers in place of a return."""

    def __init__(self, error):
        super().__init__(error.get("desc", "an error without a description"))
        self.kind = error.get("class")
        self.argument = error.get("argument")


def _directory():
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime:
        if os.geteuid() != 0:
            raise OSError("XDG_RUNTIME_DIR is not set: give the socket's path")
        runtime = "/run"
    return os.path.join(runtime, "nestbox")


def guests():
    """The names of the guests whose sockets there are, running or not."""
    try:
        names = os.listdir(_directory())
    except FileNotFoundError:
        return []
    return sorted(name[:-5] for name in names if name.endswith(".sock"))


def connect(name=None, path=None, timeout=60):
    """A Guest by its name, by its socket's path, or the only one there is."""
    if path is None and name is None:
        there = guests()
        if len(there) != 1:
            raise OSError("%d guests (%s): say which" % (len(there), ", ".join(there)))
        name = there[0]
    return Guest(path or os.path.join(_directory(), name + ".sock"), timeout)


class Guest:
    """A negotiated connection. Not for two threads at once: each makes its own."""

    def __init__(self, path, timeout=60):
        self.events = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
            self._file = self._socket.makefile("rb")
            greeting = self._receive()
            if "QMP" not in greeting:
                raise Error(greeting.get("error", {"desc": "what answers is no guest"}))
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self._file.close()
        self._socket.close()

    def _receive(self):
        line = self._file.readline()
        if not line:
            raise EOFError("the guest has gone")
        return json.loads(line)

    def execute(self, command, **arguments):
        """Asks and waits; events that come meanwhile are kept in self.events."""
        message = {"execute": command}
        if arguments:
            message["arguments"] = {
                name.replace("_", "-"): value for name, value in arguments.items()
            }
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        while True:
            answer = self._receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise Error(answer["error"])
            else:
                return answer["return"]

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **arguments: self.execute(name.replace("_", "-"), **arguments)

    def _list(self, command, member, **arguments):
        """A list that comes in pieces, whole."""
        while True:
            piece = self.execute(command, **arguments)
            yield from piece[member]
            if "next" not in piece:
                return
            arguments["start"] = piece["next"]

    def areas(self, **arguments):
        return self._list("query-areas", "areas", **arguments)

    def maps(self, **arguments):
        return self._list("query-maps", "maps", **arguments)

    def tiles(self, **arguments):
        return self._list("query-tree", "tiles", **arguments)

    def symbol(self, name):
        """The address of a symbol of the guest's image."""
        return int(self.execute("query-symbol", address=name)["address"], 16)

    def read(self, address, size, physical=False):
        """Bytes of memory, in as many pieces as it takes."""
        if isinstance(address, str):
            address = self.symbol(address)
        space = "physical" if physical else "virtual"
        data = b""
        while len(data) < size:
            piece = self.execute(
                "read-memory",
                address=hex(address + len(data)),
                size=min(size - len(data), 256 << 10),
                space=space,
            )
            data += bytes.fromhex(piece["bytes"])
        return data

    def read_u64(self, address, physical=False):
        return struct.unpack("<Q", self.read(address, 8, physical))[0]

    def write(self, address, data, physical=False):
        """All of it or none."""
        self.execute(
            "write-memory",
            address=address if isinstance(address, str) else hex(address),
            bytes=data.hex(),
            space="physical" if physical else "virtual",
        )
