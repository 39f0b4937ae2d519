"""Random bytes come from the system, in batches, and from nowhere twice."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable

import pytest

from wirecore._backend import Backend

BATCH = 4096


@pytest.fixture
def asked(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were asked of the system, call by call, from an empty pool on."""
    asked: list[int] = []
    urandom = os.urandom

    def count(size: int) -> bytes:
        asked.append(size)
        return urandom(size)

    monkeypatch.setattr(os, "urandom", count)
    # Whatever other tests left in the pool, this takes the last of it.
    while not asked:
        backend.entropy.mask_key()
    backend.entropy.random_bytes(BATCH - 4)
    asked.clear()
    return asked


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 16, 37, BATCH, BATCH + 1, 100_000])
def test_random_bytes_are_as_many_as_asked_for(backend: Backend, size: int) -> None:
    first = backend.entropy.random_bytes(size)
    assert type(first) is bytes
    assert len(first) == size
    if size >= 16:
        assert first != backend.entropy.random_bytes(size)


def test_a_negative_number_of_bytes_is_an_error(backend: Backend) -> None:
    with pytest.raises(ValueError, match="negative"):
        backend.entropy.random_bytes(-1)


def test_masking_keys_differ(backend: Backend) -> None:
    keys = {backend.entropy.mask_key() for _ in range(3000)}
    assert all(len(key) == 4 for key in keys)
    # Among 3000 of 2**32 one pair is alike once in a thousand runs, three pairs never.
    assert len(keys) > 2997


def test_uuids_are_of_version_4_and_differ(backend: Backend) -> None:
    texts = [backend.entropy.uuid4_text() for _ in range(500)]
    assert len(set(texts)) == 500
    for text in texts:
        parsed = uuid.UUID(text)
        assert str(parsed) == text
        assert parsed.version == 4
        assert parsed.variant == uuid.RFC_4122
    # All bits but those of version and variant do vary.
    for at in set(range(36)) - {8, 13, 14, 18, 23}:
        assert len({text[at] for text in texts}) == (4 if at == 19 else 16)


def test_small_needs_are_met_from_one_batch(backend: Backend, asked: list[int]) -> None:
    for _ in range(BATCH // 16):
        backend.entropy.uuid4_text()
    assert asked == [BATCH]
    backend.entropy.mask_key()
    assert asked == [BATCH, BATCH]


def test_big_needs_go_to_the_system(backend: Backend, asked: list[int]) -> None:
    backend.entropy.random_bytes(10 * BATCH)
    assert asked == [10 * BATCH]


def test_what_the_system_refuses_is_raised(
    backend: Backend, asked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(size: int) -> bytes:
        raise NotImplementedError("no source of randomness")

    calls: list[Callable[[], object]] = [
        backend.entropy.mask_key,
        backend.entropy.uuid4_text,
        lambda: backend.entropy.random_bytes(8),
        lambda: backend.frames.encode_message(b"", masked=True),
    ]
    with monkeypatch.context() as patch:
        patch.setattr(os, "urandom", refuse)
        for call in calls:
            with pytest.raises(NotImplementedError, match="no source"):
                call()
    assert len(backend.entropy.mask_key()) == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork()")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_draws_its_own(backend: Backend) -> None:
    backend.entropy.mask_key()  # there is a pool that both could draw from
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, backend.entropy.random_bytes(32))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    drawn = os.read(reader, 100)
    os.close(reader)
    os.close(writer)
    assert len(drawn) == 32
    assert drawn != backend.entropy.random_bytes(32)
