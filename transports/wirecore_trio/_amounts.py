"""How much a pump does at a time, before others have their turn or a peer is given up."""

from __future__ import annotations

from typing import Final

#: Reads that succeed at once in a row before others get their turn: without it a flooding peer
#: stops cancellation and every other task of the run.
READS_IN_A_ROW: Final = 4

#: What of a full buffer may be heads of frames where all the rest is one message's: a flood of
#: empty fragments isn't.
HEADS: Final = 1024

#: Whoever finishes gets this long, in seconds, to have its last bytes taken by the peer.
LAST_FLUSH: Final = 5.0

#: Reads that may follow a failed send, until what the system had still received is through: a
#: peer that can't be sent to sends nothing more itself, so that is at most a socket's buffer.
LAST_READS: Final = 128
