"""Types in wsproto's signatures."""

from __future__ import annotations

from wsproto.typing import Headers

__all__ = ["Headers"]
