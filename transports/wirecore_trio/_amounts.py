"""How much a pump does at a time, before others have their turn or a peer is given up."""

from __future__ import annotations

from typing import Final

#: One receive buffer serves all connections of a run: decoders copy what they keep. What a full
#: one of the smallest frames there are takes to handle is how long others may have to wait.
RECEIVE_BUFFER: Final = 64 * 1024

#: Reads that succeed at once in a row before others get their turn: without it a flooding peer
#: stops cancellation and every other task of the run.
READS_IN_A_ROW: Final = 4

#: What of a full buffer may be heads of frames where all the rest is one message's: a flood of
#: empty fragments isn't.
HEADS: Final = 1024

#: A read that finds nothing costs a tenth of a small message. Where one has, most likely the
#: next do too: so many are left out, and waiting comes first.
LEFT_OUT: Final = 15

#: Bytes that one push may send before the writer task goes on, for the same reason.
PUSH_BUDGET: Final = 1024 * 1024

#: Messages of a pass that leave together: a peer on another core is to begin with the first while
#: this end makes the others. A send costs a third of a message, and that the peer wakes up more.
TOGETHER: Final = 16

#: Whoever finishes gets this long, in seconds, to have its last bytes taken by the peer.
LAST_FLUSH: Final = 5.0

#: Reads that may follow a failed send, until what the system had still received is through: a
#: peer that can't be sent to sends nothing more itself, so that is at most a socket's buffer.
LAST_READS: Final = 128
