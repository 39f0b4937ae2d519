"""How much is moved at a time, and how long that may keep others waiting."""

from __future__ import annotations

from typing import Final

#: One receive buffer serves all connections of a run: decoders copy what they keep. What a full
#: one of the smallest frames there are takes to handle is how long others may have to wait.
RECEIVE_BUFFER: Final = 64 * 1024

#: A read that finds nothing costs a tenth of a small message. Where one has, most likely the
#: next do too: so many are left out, and waiting comes first.
LEFT_OUT: Final = 15

#: How much a link takes in one go: enough to fill a pipe, little enough that control frames
#: put in behind it leave soon.
MAX_SEND: Final = 64 * 1024

#: Bytes that one push may send before the writer task goes on, so that others have their turn.
PUSH_BUDGET: Final = 1024 * 1024

#: Messages of a pass that leave together: a peer on another core is to begin with the first while
#: this end makes the others. A send costs a third of a message, and that the peer wakes up more.
TOGETHER: Final = 16

# --- waiting in place ---------------------------------------------------------------------------

#: Seconds between two reads of one connection that count as close.
CLOSE: Final = 0.0004

#: Reads that must have been close before the first wait.
FEWEST: Final = 8

#: Waits in a row before the loop has its turn, whatever comes; more within so many seconds.
IN_A_ROW: Final = 8
TURN: Final = 0.0005
MOST_IN_A_ROW: Final = 64

#: Turns of the loop in a row that are left out where it says that it has nothing to do: a pass of
#: it costs two messages.
IDLE_TURNS: Final = 16

#: Turns after one at which others of the run were ready: so long each wait is followed by a turn.
POLITE: Final = 8

#: Seconds of a wait in which it looks and doesn't sleep.
AWAKE: Final = 0.0001

#: Seconds more than that which only somebody takes who computes on this core; and waits before the
#: next that looks. The system's own work comes once in thousands of looks: hardly any are left out
#: for that. A process that computes takes its slice at each: then they soon are seldom.
SLICE: Final = 0.001
INTERRUPTED: Final = 16
CONTENDED: Final = 256
SELDOM: Final = 2048
