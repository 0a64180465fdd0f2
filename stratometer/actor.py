"""Who sits at the command line, as the audit of the catalogue names them."""

import getpass


def actor() -> str:
    """Return ``cli:<user>``; ``cli`` where the system knows no user, as in some containers."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError, ImportError):
        return "cli"
