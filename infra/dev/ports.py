"""Chooses loopback ports that nobody else is likely to take."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
PORT_MIN = 15_000
TRIES_MAX = 200


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


def connect(port: int) -> None:
    """Connect once.

    Raises:
        OSError: nothing listens there.
    """
    socket.create_connection((LOOPBACK, port), timeout=1).close()


def _ephemeral_start() -> int:
    try:
        start = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError):
        start = 32_768
    return max(start, PORT_MIN + 5_000)
