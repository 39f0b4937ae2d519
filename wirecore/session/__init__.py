"""What the sessions of all protocols are made of: plain objects, with the time as an argument."""

from __future__ import annotations

from wirecore.session.backoff import Backoff
from wirecore.session.calls import Call, PendingCalls
from wirecore.session.contract import Session, Stage
from wirecore.session.fields import CallFields
from wirecore.session.heartbeat import Heartbeat
from wirecore.session.limits import CallLimits, Limits
from wirecore.session.outbox import Outbox

__all__ = [
    "Backoff",
    "Call",
    "CallFields",
    "CallLimits",
    "Heartbeat",
    "Limits",
    "Outbox",
    "PendingCalls",
    "Session",
    "Stage",
]
