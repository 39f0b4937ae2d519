"""Extensions: wsproto's own classes."""

from __future__ import annotations

from wsproto.extensions import SUPPORTED_EXTENSIONS, Extension, PerMessageDeflate

__all__ = ["SUPPORTED_EXTENSIONS", "Extension", "PerMessageDeflate"]
