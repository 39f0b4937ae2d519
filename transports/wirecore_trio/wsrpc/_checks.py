"""Types of arguments, checked where they come in: later the error would name something else."""

from __future__ import annotations


def require_type(
    name: str, value: object, kind: type, *, optional: bool = False, hint: str = ""
) -> None:
    """Raise TypeError unless *value*, the argument *name*, is a *kind*, or None if *optional*.

    *hint*: what to give in its place.
    """
    if isinstance(value, kind) or (optional and value is None):
        return
    wanted = f"{kind.__name__} or None" if optional else kind.__name__
    raise TypeError(
        f"{name} must be {wanted}, not {_kind_of(value)}" + (f": {hint}" if hint else "")
    )


def require_int(name: str, value: object) -> None:
    """Raise TypeError unless *value*, the argument *name*, is a whole number."""
    # True is an int for Python, and a mistake here.
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be int, not {_kind_of(value)}")


def require_seconds(name: str, value: object) -> None:
    """Raise TypeError unless *value*, the argument *name*, is a number of seconds or None."""
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool)):
        raise TypeError(f"{name} must be a number of seconds or None, not {_kind_of(value)}")


def _kind_of(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
