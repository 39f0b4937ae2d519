"""h11 and wsproto load with the first handshake: an import of the package doesn't wait for them."""

from __future__ import annotations

import json
import subprocess
import sys

LATE = {"h11", "wsproto"}


def loaded_after(code: str) -> set[str]:
    """Which of the two are loaded once *code* has run in an interpreter of its own."""
    code += f"\nimport json, sys\nprint(json.dumps(sorted({LATE} & sys.modules.keys())))"
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(json.loads(done.stdout))


def test_an_import_loads_neither() -> None:
    assert loaded_after("import wirecore.websocket") == set()


def test_a_server_that_upgrades_nobody_needs_no_wsproto() -> None:
    code = """
from wirecore.websocket import Response, ServerHandshake
handshake = ServerHandshake()
request = handshake.receive(b"GET /healthz HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
assert request.problem is not None
assert handshake.respond(Response(200))
"""
    assert loaded_after(code) == {"h11"}


def test_a_clients_handshake_loads_both() -> None:
    assert loaded_after("import wirecore.websocket as w; w.ClientHandshake(host='h')") == LATE
