"""Finding what a user names: from ``MODULE:NAME``, or ``./FILE.py:NAME``, to an object."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from wirecore.errors import kind_of

from .failures import Failure, Status


@dataclass(frozen=True)
class Kind:
    """What is looked for: its *name* in errors, an *example* of a reference, and the *command*.

    *fits* tells whether an object is one; *lacking* says of one that doesn't, why.
    """

    name: str
    example: str
    command: str
    fits: Callable[[Any], bool]
    lacking: str

    @property
    def _one(self) -> str:
        return f"{'an' if self.name[0] in 'aeiou' else 'a'} {self.name}"

    def find(self, reference: str, folder: Path) -> Any:
        """What *reference* names or makes; modules are looked for in *folder* first.

        Raises Failure, which says what to do.
        """
        module, colon, name = reference.rpartition(":")
        if not (colon and module and name):
            raise wrong(
                f"{self._one} is MODULE:{self.name.upper()}, as {self.example}, not {reference!r}"
            )
        return self._made(self._find(self.load(module, folder), name, reference), reference)

    def load(self, name: str, folder: Path) -> ModuleType:
        """The module *name*, or that in the file *name*. Raises Failure."""
        # As `python -m` has it, and servers of web applications.
        _look_first_in(folder)
        try:
            return _load_file(Path(name)) if name.endswith(".py") else import_module(name)
        except ModuleNotFoundError as error:
            # What the module itself lacks is another matter, and its own text says what.
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise self._broken(name, error) from error
            hint = _near(error.name, [path.stem for path in folder.glob("*.py")])
            raise wrong(
                f"there is no module {error.name!r}, neither in {folder.resolve()} nor installed"
                f"{hint or ': --app-dir names another folder'}"
            ) from error
        except Failure:
            raise
        except Exception as error:
            raise self._broken(name, error) from error

    def _broken(self, name: str, error: Exception) -> Failure:
        return wrong(f"importing {name} failed: {type(error).__name__}: {error} ({self._where()})")

    def _where(self) -> str:
        return f"'wirecore --debug {self.command} ...' shows where"

    def _find(self, module: ModuleType, name: str, reference: str) -> Any:
        found: Any = module
        owner = module.__name__
        for part in name.split("."):
            if not hasattr(found, part):
                hint = _near(part, [each for each in dir(found) if not each.startswith("_")])
                raise wrong(f"{reference}: {owner} has no {part!r}{hint}")
            found = getattr(found, part)
            owner = f"{owner}.{part}"
        return found

    def _made(self, found: Any, reference: str) -> Any:
        """*found*, or what it makes, if that fits."""
        if not isinstance(found, type) and self.fits(found):
            return found
        if callable(found):
            made = self._made_by(found, reference)
            if self.fits(made):
                return made
            what = f"{reference} makes {kind_of(made)}, which"
        else:
            what = f"{reference} is {kind_of(found)}, which"
        raise wrong(f"{what} is no {self.name}: {self.lacking}")

    def _made_by(self, factory: Any, reference: str) -> Any:
        try:
            inspect.signature(factory).bind()
        except TypeError as error:
            raise wrong(
                f"{reference} can't be called without arguments ({error}): "
                "name an object, or a function that makes one"
            ) from error
        except ValueError:
            pass  # some builtins don't tell what they take
        try:
            made = factory()
        except Exception as error:
            raise wrong(
                f"calling {reference} failed: {type(error).__name__}: {error} ({self._where()})"
            ) from error
        if inspect.iscoroutine(made):
            made.close()  # or Python warns that nobody awaited it
            raise wrong(f"{reference} is async: what makes {self._one} is a plain function")
        return made


def wrong(text: str) -> Failure:
    """What is said of a reference that names nothing of use."""
    return Failure(text, Status.USAGE)


def _load_file(path: Path) -> ModuleType:
    """Run the file *path* as a module, beside which it finds others, as ``python FILE`` does."""
    if not path.is_file():
        raise wrong(f"there is no file {path}")
    _look_first_in(path.parent)
    # A name that is taken would hide another module from all that import it.
    name = path.stem if path.stem not in sys.modules else f"{path.stem} of {path.parent}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _look_first_in(folder: Path) -> None:
    sys.path.insert(0, str(folder.resolve()))


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f": did you mean {' or '.join(near)}?" if near else ""
