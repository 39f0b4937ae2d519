"""How the pure modules read what a caller passes: any C-contiguous buffer of bytes."""

from __future__ import annotations

from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview


def as_bytes(data: Buffer) -> bytes:
    """The content of *data*; *data* itself where it is exactly bytes.

    Raises TypeError when *data* is no buffer, ValueError when it isn't C-contiguous or its
    items aren't single bytes.
    """
    if type(data) is bytes:
        return data
    with memoryview(data) as view:
        # Python calls no empty slice with a step contiguous; its C API, as is right, does.
        if view.itemsize != 1 or not (view.c_contiguous or view.nbytes == 0):
            raise ValueError("data must be a C-contiguous buffer of single bytes")
        return view.tobytes()
