# What the scripts beside this file share. Sourced, not run: it defines functions, goes to the
# project's folder and keeps standard input away from every tool.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '\n== %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Prints the interpreter to build environments with: $PYTHON, else the first that is new enough.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        elif [ "$candidate" = "${PYTHON:-}" ]; then
            die "PYTHON=$PYTHON is not a Python of at least 3.11 that runs"
        fi
    done
    die "no Python of at least 3.11 found; name one with PYTHON="
}

# Makes the environment in folder $1 anew.
make_venv() {
    local python
    python=$(find_python)
    "$python" -m venv --clear "$1" ||
        die "$python can't make environments (on Debian: apt-get install python3-venv)"
}

# Prints a hash of all that decides what an environment holds: the interpreter, the
# requirements and the sources of the compiled modules.
environment_hash() {
    {
        "$1" -VV
        cat pyproject.toml setup.py wirecore/_backend.py wirecore/*.pyx wirecore/*.pxd
    } | cksum
}

# Makes .venv where it isn't up to date: wirecore in place, compiled, with the tools that the
# tests need. Puts it in front of PATH.
use_venv() {
    local stamp=.venv/wirecore-stamp
    if [ ! -x .venv/bin/python ] ||
        { [ -n "${PYTHON:-}" ] && [ "$("$PYTHON" -VV)" != "$(.venv/bin/python -VV)" ]; }; then
        say "making .venv with $(find_python)"
        make_venv .venv
    fi
    PATH="$PWD/.venv/bin:$PATH"
    if [ "$(cat "$stamp" 2>/dev/null)" != "$(environment_hash python)" ]; then
        say "installing wirecore, compiled and in place, with the tools for its tests"
        rm -f "$stamp"
        WIRECORE_BUILD=require python -m pip install -q -e '.[test]'
        environment_hash python >"$stamp"
    fi
}

# Installs what the extra $1 names, and leaves the installed wirecore alone.
install_extra() {
    python - "$1" >.venv/requirements.txt <<'PYTHON'
import sys, tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["project"]["optional-dependencies"][sys.argv[1]], sep="\n")
PYTHON
    python -m pip install -q -r .venv/requirements.txt
}
