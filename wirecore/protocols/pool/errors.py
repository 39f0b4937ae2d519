"""What can go wrong with a call besides what every protocol has."""

from __future__ import annotations

from wirecore.errors import CallTimeout, LocalError


class NoProvider(CallTimeout):
    """No provider took the call in time: the text says whether there is one. Nothing was sent."""


class NoDefaultPath(LocalError):
    """The call's service is bound to no path, and no path is bound for all services.

    The text begins with the original's.
    """
