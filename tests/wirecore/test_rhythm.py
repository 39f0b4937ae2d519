"""How fast messages come: when to wait for the next in place, when to look, and when to sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wirecore.moving_rules import IDLE_TURNS, IN_A_ROW, MOST_IN_A_ROW, POLITE, SELDOM, TURN

if TYPE_CHECKING:
    from wirecore._backend import Backend
    from wirecore_py.rhythm import Rhythm


class Ticks:
    """The clock of those who look: each time that they give way takes *step* seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.step = 0.00001
        self.given = 0

    def clock(self) -> float:
        return self.now

    def give_way(self) -> None:
        self.given += 1
        self.now += self.step


@pytest.fixture
def ticks() -> Ticks:
    """A clock that stands still but for that."""
    return Ticks()


@pytest.fixture
def rhythm(backend: Backend, ticks: Ticks) -> Rhythm:
    """A run's rhythm, on that clock."""
    return backend.rhythm.Rhythm(backend.ticking.Core(ticks.clock, ticks.give_way))


def test_it_takes_some_close_reads_and_lets_the_loop_have_its_turn_now_and_then(
    rhythm: Rhythm,
) -> None:
    rhythm.close = 7
    assert not rhythm.pays()
    rhythm.close = 8
    for _ in range(2):
        rhythm.at += 1
        assert rhythm.pays()
        rhythm.at += 0.001
        # Nobody else goes on either, before the loop has had its turn.
        assert [rhythm.pays() for _ in range(20)] == [True] * (IN_A_ROW - 1) + [False] * 13
        rhythm.had_turn()


def test_while_others_are_ready_each_wait_is_followed_by_a_turn(
    backend: Backend, ticks: Ticks
) -> None:
    ready = [0]
    rhythm = backend.rhythm.Rhythm(
        backend.ticking.Core(ticks.clock, ticks.give_way), lambda: ready[0]
    )
    rhythm.close = 8
    rhythm.had_turn()
    assert [rhythm.pays() for _ in range(9)] == [True] * 9  # nobody else: as ever
    assert not rhythm.others_are_ready()
    ready[0] = 1
    assert rhythm.others_are_ready()
    rhythm.had_turn()
    ready[0] = 0
    for _ in range(POLITE):
        assert rhythm.others_are_ready()  # or are taken to be
        assert not rhythm.turn_is_due()
        assert rhythm.pays()
        assert rhythm.turn_is_due()
        assert not rhythm.pays()
        rhythm.had_turn()
    # Nobody was seen for so long: they are alone again.
    assert not rhythm.others_are_ready()
    assert [rhythm.pays() for _ in range(9)] == [True] * 9


def test_turns_that_would_find_nothing_to_do_are_left_out_but_not_all(
    backend: Backend, ticks: Ticks
) -> None:
    idle = True
    rhythm = backend.rhythm.Rhythm(
        backend.ticking.Core(ticks.clock, ticks.give_way), lambda: 0, lambda: idle
    )
    rhythm.close = 8

    def waits_until_the_turn() -> int:
        paid = 0
        while rhythm.pays():
            rhythm.at += TURN / 32
            paid += 1
        return paid

    for _ in range(2):
        assert waits_until_the_turn() == pytest.approx(32 * (1 + IDLE_TURNS), abs=2 * IDLE_TURNS)
        assert rhythm.turn_is_due()
        rhythm.had_turn()
    idle = False
    assert 32 <= waits_until_the_turn() <= 34
    rhythm.had_turn()
    idle = True
    waits = [rhythm.pays() for _ in range(2000)]
    assert sum(waits) == MOST_IN_A_ROW * (1 + IDLE_TURNS)  # also where the clock stands still


def test_where_all_is_fast_more_are_in_a_row(rhythm: Rhythm) -> None:
    rhythm.close = 8
    paid = 0
    while rhythm.pays():
        rhythm.at += 0.000015
        paid += 1
    assert 32 <= paid <= 40
    rhythm.had_turn()
    # A clock that stands still doesn't keep others waiting for ever.
    assert sum(rhythm.pays() for _ in range(1000)) == MOST_IN_A_ROW


def test_reads_of_one_connection_that_follow_each_other_closely_are_counted(
    rhythm: Rhythm,
) -> None:
    one, other = object(), object()
    for pump, now, close in (
        (one, 1.0, 0),
        (one, 1.0003, 1),
        (one, 1.0006, 2),
        (one, 1.0011, 0),
        (one, 1.0012, 1),
        (other, 1.0012, 0),
        (one, 1.0012, 0),
    ):
        rhythm.was_read(pump, now)
        assert (rhythm.pump, rhythm.at, rhythm.close) == (pump, now, close)


class Waits:
    """What a link says that is asked whether it is readable: whether somebody looked or slept."""

    def __init__(self, *, looking: bool = False, sleeping: bool = False) -> None:
        self.looking = looking
        self.sleeping = sleeping
        self.looks = 0
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> bool:
        if seconds:
            self.slept.append(seconds)
            return self.sleeping
        self.looks += 1
        return self.looking


def waits_until_it_looks(rhythm: Rhythm) -> int:
    """How many waits end before one that looks, counted with that."""
    for number in range(1, 1000):
        waits = Waits(looking=True, sleeping=True)
        assert rhythm.wait(waits, 0.0002)
        if waits.looks:
            return number
    return 0


def found(_: float) -> bool:
    return True


def missed(_: float) -> bool:
    return False


def test_after_a_wait_for_nothing_it_takes_many_more(rhythm: Rhythm) -> None:
    for needed in (8, 64, 512):
        rhythm.close = needed - 1
        assert not rhythm.pays()
        rhythm.close = needed
        assert rhythm.pays()
        assert not rhythm.wait(missed, 0.0002)
        assert rhythm.close == 0
    for _ in range(20):
        rhythm.wait(missed, 0.0002)
    rhythm.close = 2**20
    assert rhythm.pays()  # there is an end to that


def test_a_wait_for_nothing_is_forgiven_where_many_found_something(rhythm: Rhythm) -> None:
    rhythm.wait(missed, 0.0002)
    for _ in range(64):
        assert rhythm.wait(found, 0.0002)
    rhythm.wait(missed, 0.0002)
    rhythm.close = 8
    assert rhythm.pays()
    rhythm.wait(missed, 0.0002)
    rhythm.close = 63
    assert not rhythm.pays()


# --- looking, and sleeping ------------------------------------------------------------------


def test_where_waits_find_something_it_looks_and_sleeps_no_more(rhythm: Rhythm) -> None:
    waits = Waits(looking=True, sleeping=True)
    for _ in range(100):
        assert rhythm.wait(waits, 0.0002)
    assert (waits.looks, waits.slept) == (100, [])


def test_a_look_in_vain_now_and_then_is_forgiven(rhythm: Rhythm) -> None:
    for _ in range(10):
        waits = Waits(looking=True)
        for _ in range(8):
            assert rhythm.wait(waits, 0.0002)
        late = Waits(sleeping=True)
        assert rhythm.wait(late, 0.0002)
        assert (waits.looks, waits.slept) == (8, [])
        assert late.looks
        assert late.slept == [pytest.approx(0.0001)]  # what is left


def test_who_is_never_seen_by_looking_is_looked_for_each_64th_time(
    rhythm: Rhythm, ticks: Ticks
) -> None:
    looked_at = []
    for number in range(1, 1 + 1 + 4 + 16 + 64 + 64):
        waits = Waits(sleeping=True)
        assert rhythm.wait(waits, 0.0002)
        assert waits.slept == [pytest.approx(0.0001 if waits.looks else 0.0002)]
        if waits.looks:
            looked_at.append(number)
    assert looked_at == [1, 1 + 4, 1 + 4 + 16, 1 + 4 + 16 + 64, 1 + 4 + 16 + 64 + 64]
    assert ticks.given == 50  # to other processes, ten times each


def test_it_looks_no_longer_than_it_may_wait(backend: Backend, ticks: Ticks) -> None:
    for seconds, looks, left in ((0.0002, 10, 0.0001), (0.00005, 5, 0)):
        waits = Waits()
        rhythm = backend.rhythm.Rhythm(backend.ticking.Core(ticks.clock, ticks.give_way))
        assert not rhythm.wait(waits, seconds)
        assert waits.looks in (looks, looks + 1, looks + 2)
        assert sum(waits.slept) == pytest.approx(left, abs=0.00001)


def test_where_another_process_computes_the_core_is_left_to_it(
    rhythm: Rhythm, ticks: Ticks
) -> None:
    ticks.step = 0.003
    for _ in range(10):
        assert rhythm.wait(found, 0.0002)
    # The more often it meets that process, the less it looks.
    for left_out in (16, 64, 256, 256):
        waits = Waits()
        assert not rhythm.wait(waits, 0.0002)
        assert (waits.looks, waits.slept) == (2, [])  # the second says whether it came meanwhile
        assert waits_until_it_looks(rhythm) == left_out


def test_where_a_process_has_taken_the_core_once_it_soon_is_as_before(
    rhythm: Rhythm, ticks: Ticks
) -> None:
    for _ in range(3):
        for _ in range(SELDOM):
            rhythm.came()
        ticks.step = 0.003
        assert not rhythm.wait(missed, 0.0002)
        ticks.step = 0.00001
        assert waits_until_it_looks(rhythm) == 16
        assert not rhythm.looks()
        for _ in range(3):
            assert rhythm.wait(Waits(looking=True), 0.0002)
        assert rhythm.looks()


def test_a_link_that_cant_wait_isnt_looked_at(rhythm: Rhythm) -> None:
    looks: list[float] = []

    def cannot(seconds: float) -> None:
        looks.append(seconds)

    assert not rhythm.wait(cannot, 0.0002)
    assert len(looks) == 2
    assert looks[0] == 0


def test_a_system_that_gives_no_way_never_looks(backend: Backend, ticks: Ticks) -> None:
    rhythm = backend.rhythm.Rhythm(backend.ticking.Core(ticks.clock, None))
    assert not rhythm.looks()
    waits = Waits(looking=True, sleeping=True)
    for _ in range(100):
        assert rhythm.wait(waits, 0.0002)
    assert not waits.looks


# --- who looks himself ------------------------------------------------------------------------


def test_what_is_there_when_others_had_the_core_is_as_good_as_seen(
    rhythm: Rhythm, ticks: Ticks
) -> None:
    late = Waits(sleeping=True)
    assert rhythm.wait(late, 0.0002)
    assert not rhythm.looks()  # it was missed, and the next three aren't looked for
    for _ in range(3):
        assert rhythm.wait(Waits(sleeping=True), 0.0002)
    assert rhythm.wait(Waits(looking=True), 0.0002)
    assert not rhythm.looks()
    for _ in range(3):
        assert rhythm.wait(Waits(looking=True), 0.0002)
    assert rhythm.looks()  # four found pay for one missed
    assert rhythm.wait(late, 0.0002)
    assert rhythm.looks()  # and for the next
    before = ticks.given
    rhythm.give_way()
    assert ticks.given == before + 1
    rhythm.close = 9
    for _ in range(4):
        rhythm.came()
        assert rhythm.looks()
    assert rhythm.wait(late, 0.0002)
    assert rhythm.looks()


def test_who_gives_way_to_one_that_computes_looks_no_more_for_a_while(
    rhythm: Rhythm, ticks: Ticks
) -> None:
    pump = object()
    ticks.now = 1.0
    rhythm.was_read(pump, ticks.now)
    rhythm.give_way()
    rhythm.was_read(pump, ticks.now)
    rhythm.came()
    assert rhythm.looks()
    ticks.now += 0.004  # a handler of ours took so long
    rhythm.was_read(pump, ticks.now)
    rhythm.came()
    ticks.now += 0.004
    rhythm.give_way()
    rhythm.was_read(pump, ticks.now)
    rhythm.came()
    assert rhythm.looks()
    ticks.step = 0.004  # so long did somebody else have the core
    rhythm.give_way()
    rhythm.was_read(pump, ticks.now)
    rhythm.came()
    assert not rhythm.looks()
    assert waits_until_it_looks(rhythm) == 16


# --- reading on -------------------------------------------------------------------------------


class Reads:
    """A pump that reads for its reader as often as it is told."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.woke = False

    def read_for_reader(self) -> bool:
        self.times -= 1
        return self.times >= 0


def test_who_would_park_reads_on_where_that_pays(rhythm: Rhythm) -> None:
    assert not rhythm.read_on()
    pump = Reads(2)
    rhythm.was_read(pump, 1.0)
    rhythm.close = 7
    assert not rhythm.read_on()
    assert pump.times == 2
    rhythm.close = 8
    assert rhythm.read_on() is True
    pump.woke = True  # somebody is to have his turn
    assert not rhythm.read_on()
    pump.woke = False
    assert rhythm.read_on()
    assert rhythm.read_on() is False
