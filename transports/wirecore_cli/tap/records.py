"""What the tap tells: a record for each frame, message, or step of a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

#: Who has sent it.
Sender: TypeAlias = Literal["client", "server"]

OTHER: Final[dict[Sender, Sender]] = {"client": "server", "server": "client"}

#: Kinds that say that something went wrong.
BAD: Final = frozenset({"error", "problem", "refused", "reset", "reply-error"})


@dataclass(slots=True)
class Told:
    """What a decoder says of one thing that went over the wire.

    *kind*: what it is, in the protocol's words. *size*: bytes of it, as the protocol counts them.
    *summary*: the rest of a line. *fields*: what JSON and ``--verbose`` have besides. No secret is
    in any of them: they are made by :class:`~wirecore_cli.tap.showing.Showing`. *took*: seconds
    since what it answers.
    """

    kind: str
    summary: str = ""
    size: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    took: float | None = None


class Record(NamedTuple):
    """Something that was *told*, of a connection (0: of none), so many *seconds* after the start.

    *sender* None: the tap itself says it.
    """

    seconds: float
    connection: int
    sender: Sender | None
    protocol: str
    told: Told

    def as_json(self) -> dict[str, Any]:
        """It as a line of JSON has it: names that stay as they are."""
        told = self.told
        found: dict[str, Any] = {
            "seconds": round(self.seconds, 6),
            "connection": self.connection,
            "from": self.sender or "tap",
            "protocol": self.protocol,
            "kind": told.kind,
        }
        if told.size is not None:
            found["size"] = told.size
        found["summary"] = told.summary
        if told.took is not None:
            found["milliseconds"] = round(told.took * 1000, 3)
        return found | told.fields


def problem(text: str, size: int | None = None, **fields: Any) -> Told:
    """That something couldn't be decoded, or went wrong, and why."""
    return Told("problem", text, size, {"problem": text, **fields})
