"""The same names as wsproto's, and what loading them brings along."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib import import_module

import pytest
import wsproto
import wsproto.events

from wirecore.dropin import wsproto as dropin
from wirecore.dropin.wsproto import _version, events

SUBMODULES = (
    "connection",
    "events",
    "extensions",
    "frame_protocol",
    "handshake",
    "typing",
    "utilities",
)

#: Ours, where wsproto has its own.
REPLACED = {"Connection", "FrameProtocol", "H11Handshake", "WSConnection"}

#: Parts of wsproto's codec, which ours has no need of; nobody's API.
INTERNAL = {"Buffer", "XorMaskerNull", "XorMaskerSimple"}


def defined(module: str) -> set[str]:
    """The classes and functions that a module of wsproto defines for others."""
    found = import_module(f"wsproto.{module}")
    return {
        name
        for name, value in vars(found).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == found.__name__
    }


@pytest.mark.parametrize("module", SUBMODULES)
def test_every_submodule_has_its_namesake(module: str) -> None:
    ours = import_module(f"wirecore.dropin.wsproto.{module}")
    assert getattr(dropin, module) is ours
    theirs = import_module(f"wsproto.{module}")
    assert defined(module) - INTERNAL <= set(ours.__all__)
    for name in set(ours.__all__) - REPLACED:
        assert getattr(ours, name) is getattr(theirs, name), name
    for name in set(ours.__all__) & REPLACED:
        assert issubclass(getattr(ours, name), getattr(theirs, name))


def test_the_package_has_what_wsproto_has() -> None:
    assert set(wsproto.__all__) <= set(dropin.__all__)
    assert dropin.ConnectionType is wsproto.ConnectionType
    assert issubclass(dropin.WSConnection, wsproto.WSConnection)
    assert dropin.__version__ == wsproto.__version__
    assert events.TextMessage is wsproto.events.TextMessage


def test_signatures_begin_as_wsprotos() -> None:
    for ours, theirs in (
        (dropin.WSConnection, wsproto.WSConnection),
        (dropin.Connection, import_module("wsproto.connection").Connection),
        (dropin.H11Handshake, import_module("wsproto.handshake").H11Handshake),
    ):
        wanted = list(inspect.signature(theirs).parameters)
        assert list(inspect.signature(ours).parameters)[: len(wanted)] == wanted


def loaded_by(statement: str) -> set[str]:
    code = f"import sys, json; {statement}; print(json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
    return set(json.loads(answer))


def test_it_is_loaded_for_those_who_ask_and_brings_no_event_loop() -> None:
    assert not {"wirecore.dropin", "wsproto"} & loaded_by("import wirecore")
    loaded = loaded_by("from wirecore.dropin import wsproto")
    assert {"wirecore.dropin.wsproto", "wsproto"} <= loaded
    assert not {"trio", "asyncio", "wirecore_trio"} & loaded


@pytest.mark.parametrize("version", ["1.3.2", "1.3.9.post1", "1.3.10"])
def test_known_versions_of_wsproto(version: str) -> None:
    _version.check(version)


@pytest.mark.parametrize("version", ["1.2.0", "1.3.1", "1.4.0", "2.0", "0.15", "unknown"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(ImportError, match=r"wsproto 1\.3\.2 or newer and below 1\.4, but"):
        _version.check(version)
