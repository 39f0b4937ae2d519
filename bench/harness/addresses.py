"""Programs at the same addresses in every process and every run.

Linux loads programs at random ones. Two processes on one core then have their branches at
different addresses, and each loses at every switch what the processor had learnt of its own:
on some machines that doubles what interpreted code costs, on others it is nothing, and from run
to run it varies. Peers that sit on machines of their own never see it.
"""

from __future__ import annotations

import ctypes
import sys

# personality(2)
_ASK = 0xFFFFFFFF
_ADDR_NO_RANDOMIZE = 0x0040000


def fix() -> bool:
    """Has all programs that this process starts loaded at fixed addresses; False where it can't."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    current: int = libc.personality(ctypes.c_ulong(_ASK))
    before: int = libc.personality(ctypes.c_ulong(current | _ADDR_NO_RANDOMIZE))
    return before != -1
