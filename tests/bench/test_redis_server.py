"""The redis-server that peers of the benchmarks start: it never outlives them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.transports.redis_server import find_redis

ROOT = Path(__file__).resolve().parents[2]

#: As a peer starts it, whose death is not always an orderly one.
STARTS = "from bench.peers import redis_server; print(redis_server.start(), flush=True); input()"


def is_there(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def test_it_ends_with_whoever_started_it() -> None:
    find_redis()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", STARTS], stdin=pipe, stdout=pipe, cwd=ROOT
    ) as starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline())
        assert is_there(port)
        starter.kill()
    give_up = time.monotonic() + 30
    while is_there(port):
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_a_machine_without_it_is_told_so(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.peers", "wirecore_pool_nodes", "serve"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as peer:
        assert peer.stdout is not None
        assert json.loads(peer.stdout.readline())["event"] == "missing"
        assert peer.wait() == 3
