"""Payloads of wsrpc by a .proto file."""

from __future__ import annotations

from typing import Any

from ..failures import Failure
from ..proto import Method, Schema


class ProtoValues:
    """The :data:`~wirecore_cli.tap.wsrpc.Values` of *schema*."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._methods: dict[str, Method | None] = {}

    def __call__(self, method: str, answer: bool, payload: bytes) -> Any:
        """What *payload* is, as JSON has it; None where the file doesn't say, or it isn't that."""
        from google.protobuf import json_format
        from google.protobuf.message import DecodeError

        found = self._find(method)
        if found is None:
            return None
        kind = found.response if answer else found.request
        try:
            message = kind.FromString(payload)
            return json_format.MessageToDict(message, descriptor_pool=found.pool)
        except (DecodeError, json_format.SerializeToJsonError):
            return None

    def _find(self, name: str) -> Method | None:
        if name not in self._methods:
            if len(self._methods) > 10_000:  # names are the peers' to make up
                self._methods.clear()
            try:
                self._methods[name] = self._schema.method(name)
            except Failure:
                self._methods[name] = None
        return self._methods[name]
