"""An application to be published: notes as JSON, a clock, uploads, a chat, and a page for them.

It knows nothing of where it is reached: ``wirecore tunnel publish`` runs it behind NAT, and any
server of ASGI elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import anyio
from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

app = FastAPI(title="Demo")


class Note(BaseModel):
    """What somebody wrote."""

    text: str = Field(min_length=1, max_length=200)


class Upload(BaseModel):
    """What came."""

    name: str
    size: int
    sha256: str


notes: list[Note] = []
guests: set[WebSocket] = set()


@app.get("/api/notes")
async def list_notes() -> list[Note]:
    """The last notes, newest first."""
    return notes[:-21:-1]


@app.post("/api/notes", status_code=201)
async def add_note(note: Note) -> Note:
    """Keep a note, until this process ends."""
    notes.append(note)
    return note


@app.put("/api/uploads/{name}")
async def upload(name: str, request: Request) -> Upload:
    """Count a file of any length, of which a piece at a time is held."""
    size, digest = 0, hashlib.sha256()
    async for piece in request.stream():
        size += len(piece)
        digest.update(piece)
    return Upload(name=name, size=size, sha256=digest.hexdigest())


async def ticks() -> AsyncIterator[str]:
    """The time, each second, as server-sent events."""
    while True:
        yield f"data: {datetime.now(UTC):%H:%M:%S}\n\n"
        await anyio.sleep(1)


@app.get("/api/clock")
async def clock() -> StreamingResponse:
    """A response without an end."""
    headers = {"Cache-Control": "no-store"}
    return StreamingResponse(ticks(), media_type="text/event-stream", headers=headers)


@app.websocket("/api/chat")
async def chat(guest: WebSocket) -> None:
    """Everybody gets what anybody says."""
    await guest.accept()
    guests.add(guest)
    try:
        while True:
            text = await guest.receive_text()
            for each in list(guests):
                await each.send_text(text[:200])
    except WebSocketDisconnect:
        pass
    finally:
        guests.discard(guest)


app.mount("/", StaticFiles(directory=Path(__file__).with_name("page"), html=True))
