"""Every error becomes readable text and an exit status; no traceback for what was raised on purpose."""

from collections.abc import Callable

from schemas.errors import Conflict, Invariant, Misconfigured, Poison, Transient
from stratometer.exit_codes import Exit
from stratometer.output import complain, problems


def guarded(action: Callable[[], object]) -> int:
    """Run an action and return the exit status that its outcome stands for; every error becomes readable text."""
    try:
        action()
    except Misconfigured as error:
        problems("Cannot go on; mend this first:", error.problems)
        return Exit.USAGE
    except (Poison, Conflict) as error:
        complain(f"Refused: {error}")
        return Exit.USAGE
    except Transient as error:
        complain(f"Not available right now: {error}")
        return Exit.UNAVAILABLE
    except Invariant as error:
        complain(f"Stopped, because something that must hold does not: {error}")
        return Exit.INVARIANT
    except KeyboardInterrupt:
        return 130
    return Exit.OK
