"""What an entry of ``differences`` is."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.transports.rest.golden.edits import Edit
from tests.transports.rest.golden.seen import End
from tests.wirecore.protocols.rest.recorded import scenarios


@dataclass(frozen=True, slots=True)
class Difference:
    """*where*: patterns of ``SCENARIO END ROLE``, see :func:`key`. *edit*: makes it ours."""

    reason: str
    edit: Edit
    where: tuple[str, ...]

    def applies(self, name: str, end: End) -> bool:
        """Whether ours at that end differs so."""
        return any(fnmatchcase(key(name, end), pattern) for pattern in self.where)


def key(name: str, end: End) -> str:
    """*name*, "client" or "server" for ours, and whether that "calls" or "serves"."""
    ours = end.name.lower()
    serving = scenarios()[name].get("serving")
    role = "" if serving is None else "serves" if serving == ours else "calls"
    return f"{name} {ours} {role}".rstrip()
