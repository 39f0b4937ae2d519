"""The whole example in one go: a server, three clients, a crash and a comeback.

Starts the programs beside it as processes of their own, over real sockets and TLS, prints what
happens in words, and ends with a summary. Its exit status is 0 only if everything went as it
should: calls in both directions before and after the crash, Charlie refused, Alice and Bob back.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio
from report import in_words, run

from wirecore import BACKEND

HERE = Path(__file__).parent

#: Seconds of calls, before the crash and after it, if not told; of absence; and for each wait.
CALLING, ABSENT, PATIENCE = 3.0, 1.5, 8.0

Event = dict[str, Any]


@dataclass
class Story:
    """What has happened so far."""

    begun: float
    port: int = 0
    crashes: int = 0
    to_server: list[float] = field(default_factory=list)
    to_clients: list[float] = field(default_factory=list)
    #: Who called whom, and how often before and after the crash.
    rounds: dict[tuple[str, str, int], int] = field(default_factory=dict)
    refused_by_server: int = 0
    refused_client: bool = False
    connections: dict[str, int] = field(default_factory=dict)
    connected: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)

    def say(self, who: str, words: str) -> None:
        """Print a line of the story."""
        print(f"{trio.current_time() - self.begun:6.2f} s  {who:<8} {words}", flush=True)

    def note(self, who: str, event: Event) -> None:
        """Take in *event* of the process *who*, and tell it in words."""
        kind = event["event"]
        if kind == "called":
            self._called(who, event)
        elif kind == "state":
            self._state(who, event)
        elif kind == "refused" and who == "server":
            self.refused_by_server += 1
            self.say(who, f"refused a client: {event['why']}")
        elif kind == "refused":
            self.refused_client = True
            self.say(who, f"was refused, as it should be: {event['why']}")
        elif kind == "failed":
            self.say(who, f"a call failed: {event['why']}")
        elif kind == "listening":
            self.port = event["port"]
            self.say(who, f"listens on 127.0.0.1:{event['port']} and lets in Alice and Bob")
        changed, self.changed = self.changed, trio.Event()
        changed.set()

    def _called(self, who: str, event: Event) -> None:
        times = event["times"]
        callee = event.get("client", "server")
        (self.to_server if callee == "server" else self.to_clients).extend(times)
        key = (who, callee, self.crashes)
        self.rounds[key] = self.rounds.get(key, 0) + 1
        method = "Ping" if callee == "server" else "Gnip"
        self.say(who, in_words(method, callee, times))

    def _state(self, who: str, event: Event) -> None:
        if event["state"] == "ready":
            self.connected.add(who)
            self.connections[who] = event["connections"]
            again = " again" if event["connections"] > 1 else ""
            self.say(who, f"is connected{again}: TLS 1.3, both keys as pinned")
            return
        if who in self.connected:
            self.connected.discard(who)
            self.say(who, "has lost the connection")
        if event["state"] == "transient failure":
            self.say(who, "can't reach the server: it waits, each time a little longer")

    async def wait(self, what: str, come_true: Callable[[], bool]) -> None:
        """Wait until *come_true*; it is a problem when that takes too long."""
        with trio.move_on_after(PATIENCE) as scope:
            while not come_true():
                await self.changed.wait()
        if scope.cancelled_caught:
            self.problems.append(f"not within {PATIENCE:g} s: {what}")

    def called_both_ways(self) -> bool:
        """Whether Alice and Bob have called, and were called, since the last crash."""
        return all(
            (caller, callee, self.crashes) in self.rounds
            for name in ("Alice", "Bob")
            for caller, callee in ((name, "server"), ("server", name))
        )


async def start(nursery: trio.Nursery, story: Story, who: str, *command: str) -> trio.Process:
    """Start one of the programs and follow what it says."""
    process = await trio.lowlevel.open_process(
        [sys.executable, str(HERE / command[0]), "--json", *command[1:]], stdout=subprocess.PIPE
    )
    nursery.start_soon(follow, story, who, process)
    return process


async def follow(story: Story, who: str, process: trio.Process) -> None:
    """Note every line that *process* prints, until it ends."""
    assert process.stdout is not None
    rest = b""
    async for chunk in process.stdout:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            story.note(who, json.loads(line))


async def play(
    story: Story, nursery: trio.Nursery, processes: list[trio.Process], calling: float
) -> None:
    """The story itself, with *calling* seconds of calls before and after the crash."""
    server = await start(nursery, story, "server", "server.py", "0")
    processes.append(server)
    await story.wait("the server listens", lambda: story.port != 0)
    port = str(story.port)
    for name in ("Alice", "Bob", "Charlie"):
        processes.append(await start(nursery, story, name, "client.py", name, port))
    await story.wait("Charlie is refused", lambda: story.refused_client)
    await trio.sleep(calling)
    await story.wait("calls both ways before the crash", story.called_both_ways)

    story.say("demo", "kills the server (kill -9)")
    story.crashes = 1
    server.kill()
    await server.wait()
    await trio.sleep(ABSENT)
    story.say("demo", "starts the server again")
    processes.append(await start(nursery, story, "server", "server.py", port))
    await story.wait(
        "Alice and Bob come back",
        lambda: all(story.connections.get(name, 0) > 1 for name in ("Alice", "Bob")),
    )
    await trio.sleep(calling)
    await story.wait("calls both ways after the crash", story.called_both_ways)


def summary(story: Story) -> int:
    """Print how it went; the exit status."""
    back = [name for name, count in story.connections.items() if count > 1]
    print("\nSummary")
    for direction, times in (
        ("clients -> server", story.to_server),
        ("server -> clients", story.to_clients),
    ):
        if len(times) < 2:
            story.problems.append(f"no calls {direction}")
            continue
        cuts = statistics.quantiles(times, n=100, method="inclusive")
        print(f"  calls {direction}: {len(times)}, p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms")
    print(f"  refused: {'Charlie' if story.refused_client else 'nobody'}")
    print(f"  reconnected after the crash: {', '.join(sorted(back)) or 'nobody'}")
    print(f"  codec: {'compiled' if BACKEND == 'c' else 'pure Python'}")
    if not story.refused_by_server:
        story.problems.append("the server didn't say that it refused Charlie")
    for problem in story.problems:
        print(f"  PROBLEM: {problem}")
    print("  everything went as it should" if not story.problems else "  something went wrong")
    return 1 if story.problems else 0


async def main(calling: float) -> int:
    """Play the story and sum it up."""
    story = Story(begun=trio.current_time())
    processes: list[trio.Process] = []
    async with trio.open_nursery() as nursery:
        try:
            await play(story, nursery, processes, calling)
        finally:
            for process in processes:
                process.kill()
        with trio.CancelScope(shield=True):
            for process in processes:
                await process.wait()
        nursery.cancel_scope.cancel()
    return summary(story)


def seconds(text: str) -> float:
    """The time that an argument says."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"seconds are 0 to 3600, not {text!r}")
    return value


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=CALLING,
        help="how long there are calls, before the crash and after it (%(default)s)",
    )
    sys.exit(run(main, parser.parse_args().seconds))
