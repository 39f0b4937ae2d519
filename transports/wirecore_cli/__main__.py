"""``python -m wirecore_cli``, and what the script ``wirecore`` runs."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

#: What the extra ``cli`` brings.
_NEEDED: Final = ("click", "rich")


def main() -> int:
    """Run the command line in ``sys.argv``; the exit status."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        return _fail(f"this command needs {' and '.join(missing)}: pip install 'wirecore[cli]'")
    try:
        from .command import run
    except (ImportError, ValueError) as error:
        # What WIRECORE_BACKEND asks for is no backend, or isn't there: that is said in a line.
        if "backend" not in str(error):
            raise
        return _fail(str(error))
    return run()


def _fail(text: str) -> int:
    sys.stderr.write(f"wirecore: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
