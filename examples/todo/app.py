"""The API of api.yaml: a to-do list, as an application of ASGI. It knows nothing of wirecore."""

from __future__ import annotations

from itertools import count, islice
from json import JSONDecodeError
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Json(JSONResponse):
    """JSON, of the type that the tutorial has."""

    media_type = "application/io.goswagger.examples.todo-list.v1+json"


#: The items by their ids, which only grow; so their order is that of the ids.
items: dict[int, dict[str, Any]] = {}
ids = count(1)


async def find_todos(request: Request) -> Response:
    """The first ``limit`` items with ids above ``since``."""
    since, limit = number_in(request, "since", 0), number_in(request, "limit", 20)
    return Json(list(islice((item for item in items.values() if item["id"] > since), limit)))


async def add_one(request: Request) -> Response:
    """Add an item."""
    values = await item_in(request)
    item = {"id": next(ids), **values}
    items[item["id"]] = item
    return Json(item, 201)


async def update_one(request: Request) -> Response:
    """Put another item in the place of one."""
    values = await item_in(request)
    number = id_in(request)
    items[number] = {"id": number, **values}
    return Json(items[number])


async def destroy_one(request: Request) -> Response:
    """Delete an item."""
    del items[id_in(request)]
    return Response(status_code=204)


def number_in(request: Request, name: str, default: int) -> int:
    """The number that the query has as *name*."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise HTTPException(422, f"{name} in query must be a number of 15 digits at most")
    return int(text)


def id_in(request: Request) -> int:
    """The id in the path, of an item that there is."""
    number = int(request.path_params["id"])
    if number not in items:
        raise HTTPException(404, f"there is no item {number}")
    return number


async def item_in(request: Request) -> dict[str, Any]:
    """The item in the body, less its id: that is never the caller's to say."""
    try:
        values = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        raise HTTPException(400, "the body isn't JSON") from None
    match values:
        case {"description": str(description), **others} if description:
            completed = others.get("completed", False)
            if isinstance(completed, bool):
                return {"description": description, "completed": completed}
            raise HTTPException(422, "completed in body must be a boolean")
    raise HTTPException(422, "description in body should be at least 1 chars long")


async def failed(request: Request, error: Exception) -> Response:
    """What went wrong, as the document has it."""
    assert isinstance(error, HTTPException)
    return Json({"code": error.status_code, "message": error.detail}, error.status_code)


app = Starlette(
    routes=[
        Route("/", find_todos, methods=["GET"]),
        Route("/", add_one, methods=["POST"]),
        Route("/{id:int}", update_one, methods=["PUT"]),
        Route("/{id:int}", destroy_one, methods=["DELETE"]),
    ],
    exception_handlers={HTTPException: failed},
)
