"""What the stories of a mover are told with: all that it knows, which does as it is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wirecore.moving_rules import RECEIVE_BUFFER

if TYPE_CHECKING:
    from wirecore._backend import Backend


class Lost(Exception):
    """The link is gone."""


class Link:
    number = 7
    owes = False

    def __init__(self) -> None:
        self.reads: list[bytes | Exception] = []
        self.sent: list[bytes] = []
        self.room = 1_000_000
        self.fails = False
        self.looks: list[float] = []

    def try_recv_into(self, buffer: memoryview) -> int | None:
        if not self.reads:
            return None
        data = self.reads.pop(0)
        if isinstance(data, Exception):
            raise data
        buffer[: len(data)] = data
        return len(data)

    def try_send(self, data: Any) -> int:
        if self.fails:
            raise Lost
        taken = bytes(data)[: self.room]
        self.room -= len(taken)
        self.sent += [taken] if taken else []
        return len(taken)

    def readable_within(self, seconds: float) -> bool:
        self.looks.append(seconds)
        return bool(self.reads)

    def backlog(self) -> int | None:
        return None


class Session:
    """Its own stage, too; what came is what happened."""

    def __init__(self, backend: Backend) -> None:
        self.outbox = backend.outbox.Outbox()
        self.stage = self
        self.finished = self.deferred = False
        self.plain = True
        self.error: Exception | None = None
        self.ends = 0

    def receive(self, data: Any, now: float) -> list[bytes]:
        if self.error is not None:
            raise self.error
        self.deferred = False
        return [bytes(data)] if data else []

    def receive_eof(self, now: float) -> None:
        self.ends += 1


class Flusher:
    def __init__(self) -> None:
        self.added: list[Any] = []

        self.flushed = 0

    def add(self, mover: Any) -> None:
        self.added.append(mover)

    def flush(self) -> None:
        self.flushed += 1


class Company:
    def is_alone(self) -> bool:
        return True


class World:
    """A mover and all that it knows; *seen*: what it had its seldom half do, and its owner."""

    def __init__(self, backend: Backend, **more: Any) -> None:
        self.now = 1.0
        self.seen: list[Any] = []
        self.link = Link()
        self.session = Session(backend)
        self.flusher = Flusher()
        self.react: Callable[[], object] = lambda: None
        self.rhythm = backend.rhythm.Rhythm(backend.ticking.Core(lambda: self.now, self._give_way))
        world = self

        class Mover(backend.moving.Mover):  # type: ignore[name-defined, misc]
            def arm(self) -> None:
                world.seen.append("armed")

            def busy(self) -> bool:
                world.seen.append("was it work?")
                return True

            def end(self, error: BaseException | None) -> None:
                self.ended = True
                world.seen.append(("ended", error))

            def _fail(self, error: Exception) -> None:
                world.seen.append(("failed", error))

            def _finish(self, now: float) -> None:
                world.seen.append(("finished", now))
                self.ended = True

            def _read_the_rest(self) -> None:
                world.seen.append("read the rest")

            def _wake_parked(self) -> None:
                world.seen.append("woke who parked")

            def _write_failed(self, error: BaseException) -> None:
                world.seen.append("write failed")
                self._writing = True
                self._broken = error

            def _write_on(self) -> None:
                world.seen.append("wrote on")
                self._writing = True

        options: dict[str, Any] = {"eager_wait": 0.0002, "vigilant": False, "lingering": None}
        self.mover = Mover(
            self.link,
            self.session,
            self,
            losses=(Lost,),
            rhythm=self.rhythm,
            flusher=self.flusher,
            company=Company(),
            view=memoryview(bytearray(RECEIVE_BUFFER)),
            now=lambda: self.now,
            **options | more,
        )

    def _give_way(self) -> None:
        self.seen.append("gave way")
        self.now += 0.00003

    def received(self, happened: list[bytes]) -> None:
        self.seen += happened
        self.react()

    def put(self, *frames: bytes) -> None:
        for frame in frames:
            self.session.outbox.put(frame)
            self.mover.write()


def close(w: World) -> None:
    """As if it alone had read, and fast."""
    w.rhythm.pump, w.rhythm.close, w.rhythm.at = w.mover, 100, w.now


def callers_of(backend: Backend) -> Any:
    return backend.waiting.Callers(lambda *_: None, lambda *_: None, None)
