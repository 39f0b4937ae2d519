"""The protobuf messages of the call rows, made at run time so that nothing need be generated."""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from bench.peers.load import Task

SERVICE = "wirecore.bench.Ping"
METHOD = "Ping"


def _make() -> tuple[type[Any], type[Any]]:
    """``message PingRequest { string body = 1; }``, and PingReply alike."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="wirecore/bench/ping.proto", package="wirecore.bench", syntax="proto3"
    )
    for name in ("PingRequest", "PingReply"):
        message = file.message_type.add(name=name)
        message.field.add(name="body", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    found = pool.Add(file) or pool.FindFileByName(file.name)
    classes = (
        message_factory.GetMessageClass(each) for each in found.message_types_by_name.values()
    )
    request, reply = sorted(classes, key=lambda each: each.DESCRIPTOR.name, reverse=True)
    return request, reply


PingRequest, PingReply = _make()


def questions(task: Task) -> list[PingRequest]:
    """What to ask, in turn and over again."""
    return [PingRequest(body=text) for text in task.texts()]


def answers(task: Task) -> list[PingReply]:
    """What the answers must be."""
    return [PingReply(body=text) for text in task.texts()]
