"""Becomes a server process that cannot outlive its parent. Run as a script, with nothing but the standard library.

Usage: `python -I -S guard.py PARENT_PID USER COMMAND...` with PARENT_PID 0 for a server that shall outlive its parent,
and USER `-` to stay who we are.

The process itself execs COMMAND, so its pid is the server's and its parent can wait for it. Before, it leaves a
detached watcher that sleeps on two pidfds and kills the server's process group when the parent ends, however that
happens. Why not PR_SET_PDEATHSIG: it fires when the parent's *thread* ends (a chaos test may restart a server from a
worker thread), it is cleared by a change of user, and it needs code between fork and exec of a threaded parent.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import sys


def watch(parent_fd: int, server_fd: int, server_pid: int) -> None:
    """Sleep until the parent or the server ends; kill the server's group if it was the parent."""
    poller = select.poll()
    poller.register(parent_fd, select.POLLIN)
    poller.register(server_fd, select.POLLIN)
    ended = {fd for fd, _ in poller.poll()}
    if server_fd not in ended:  # its pid is still its own: nobody else can have it before the pidfd reports the end
        os.killpg(server_pid, signal.SIGKILL)


def leave_watcher(parent_pid: int) -> None:
    """Fork the watcher twice, so that it is no child of the server, which may look at its children."""
    server_pid = os.getpid()
    parent_fd, server_fd = os.pidfd_open(parent_pid), os.pidfd_open(server_pid)
    if os.getppid() != parent_pid:
        sys.exit("guard: the parent ended before the server started")
    middle = os.fork()
    if middle == 0:
        os.setsid()
        if os.fork() == 0:
            quiet = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(quiet, fd)
            os.chdir("/")
            watch(parent_fd, server_fd, server_pid)
        os._exit(0)
    os.waitpid(middle, 0)
    os.close(parent_fd)
    os.close(server_fd)


def become(user: str) -> None:
    """Change to `user` for good: groups first, while that is still allowed."""
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def main(arguments: list[str]) -> None:
    """Leave a watcher, change the user, become the command."""
    parent_pid, user, *command = arguments
    if int(parent_pid):
        leave_watcher(int(parent_pid))
    if user != "-":
        become(user)
    os.execvp(command[0], command)  # noqa: S606 - the point of this script; the caller is our own process.py


if __name__ == "__main__":
    main(sys.argv[1:])
