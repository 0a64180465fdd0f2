"""Chooses loopback ports that nobody else is likely to take."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORT_MIN = 15_000
TRIES_MAX = 200
LISTENING = "0A"


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections do not count
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Choose a free port below the kernel's range for outgoing connections.

    A port of that range may be taken by any client while its server is down in a restart test; asking the kernel for
    "port 0" gives just such a port. Random, so that two test runs side by side do not choose the same.
    """
    for _ in range(TRIES_MAX):
        port = random.randrange(PORT_MIN, _ephemeral_start())  # noqa: S311 - not a secret
        if is_free(port):
            return port
    raise OSError(f"no free port found in {TRIES_MAX} tries")


def listens(pid: int, port: int) -> bool:
    """Tell whether the process `pid` itself listens on this port; a stranger that was quicker does not count."""
    sockets = _listening_sockets(port)
    if not sockets:
        return False
    try:
        links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:  # it ended, or closed a file while we looked: the caller looks again
        return False
    return any(link in sockets for link in links)


def _listening_sockets(port: int) -> set[str]:
    """What /proc/PID/fd calls the sockets that listen on this port, see proc(5)."""
    found: set[str] = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        rows = path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []
        for _, local, _, state, _, _, _, _, _, inode, *_ in map(str.split, rows):
            if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                found.add(f"socket:[{inode}]")
    return found


def _ephemeral_start() -> int:
    try:
        start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        start = 32_768
    return max(start, PORT_MIN + 5_000)
