"""What a check finds: a line if all is well, a Trouble raised if not."""

from collections.abc import Callable
from typing import NamedTuple

_ABOVE = "Mend what is wrong above first; if nothing is, reinstall jaxnet."


class Trouble(Exception):
    """What is wrong, and what to do about it."""

    def __init__(self, found: str, advice: str) -> None:
        """Keep both."""
        super().__init__(found)
        self.found, self.advice = found, advice


class Finding(NamedTuple):
    """What a check found, in one line, and what to do if all is not well."""

    check: str
    well: bool
    found: str
    advice: str = ""


def ask(name: str, check: Callable[[], str]) -> Finding:
    """What the check found; whatever it raises is a finding too."""
    try:
        return Finding(name, True, _line(check()))
    except Trouble as trouble:
        return Finding(name, False, _line(trouble.found), trouble.advice)
    except Exception as error:  # the next check may say why
        return Finding(name, False, f"the check failed: {raised(error)}", _ABOVE)


def raised(error: Exception) -> str:
    """The error in one line, which has more than its name if it says more."""
    name, words = type(error).__name__, _line(str(error))
    return f"{name}: {words}" if words else name


def _line(text: str) -> str:
    first, *others = text.strip().splitlines() or [""]
    return f"{first} ..." if others else first.removesuffix(".")
