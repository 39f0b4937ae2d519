"""Bounds that can't be kept are refused where they are set."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from wirecore.errors import InvalidOption, LocalError
from wirecore.session import CallLimits, Limits


def test_the_defaults_stand_and_cannot_be_changed_later() -> None:
    limits: Any = Limits()
    assert limits.max_frame_size == limits.max_message_size == 16 * 1024 * 1024
    with pytest.raises(dataclasses.FrozenInstanceError):
        limits.max_frame_size = 1


@pytest.mark.parametrize("option", ["max_frame_size", "max_message_size", "max_queued_bytes"])
def test_a_size_below_one_or_above_what_a_frame_can_say_is_refused(option: str) -> None:
    with pytest.raises(InvalidOption, match=f"{option} must be at least 1, not 0") as caught:
        Limits(**{option: 0})
    assert isinstance(caught.value, LocalError)
    assert isinstance(caught.value, ValueError)
    with pytest.raises(InvalidOption, match=f"{option} must be at most {2**63 - 1}"):
        Limits(**{option: 2**63})
    assert getattr(Limits(**{option: 2**63 - 1}), option) == 2**63 - 1


@pytest.mark.parametrize("option", ["max_pending_calls", "max_send_size"])
def test_bounds_on_calls_are_at_least_one(option: str) -> None:
    with pytest.raises(InvalidOption, match=f"{option} must be at least 1, not 0"):
        CallLimits(**{option: 0})
    assert getattr(CallLimits(**{option: 1}), option) == 1
