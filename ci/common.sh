# What the scripts beside this file share. Sourced, not run: it answers --help with the comment at
# the top of the script, defines functions, goes to the project's folder and keeps standard input
# away from every tool.

script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")

# Prints the comment at the top of the script, which is its manual.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$script"; }

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
    usage
    exit
fi

cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

# Names the stage that begins, and how long the script has run.
say() { printf '\n== %s  [%d:%02d]\n' "$*" $((SECONDS / 60)) $((SECONDS % 60)); }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

unknown_argument() {
    { printf 'error: unknown argument: %s\n\n' "$1" && usage; } >&2
    exit 2
}

# For scripts that take no arguments.
take_no_arguments() { [ $# -eq 0 ] || unknown_argument "$1"; }

# For scripts that run pytest: puts files, folders and names of tests into `tests`, and all that
# stands behind a --.
take_tests() {
    tests=()
    while [ $# -gt 0 ]; do
        if [ "$1" = -- ]; then
            shift
            tests+=("$@")
            return
        fi
        [ -e "${1%%::*}" ] || unknown_argument "$1"
        tests+=("$1")
        shift
    done
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
    say "making $1 with $python"
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

# Makes .venv where it isn't up to date: wirecore in place, with what extra $1 ("test" unless it is
# said, "" for none) names besides; compiled in any case where the tests are to run. Puts it in
# front of PATH.
use_venv() {
    local extra=${1-test} stamp=.venv/wirecore-stamp mode=require hash stamped
    if [ ! -x .venv/bin/python ] ||
        { [ -n "${PYTHON:-}" ] && [ "$("$PYTHON" -VV)" != "$(.venv/bin/python -VV)" ]; }; then
        make_venv .venv
    fi
    PATH="$PWD/.venv/bin:$PATH"
    hash=$(environment_hash python)
    stamped=$(cat "$stamp" 2>/dev/null || true)
    # What has the tools for the tests does for a script without any, too.
    if [ "$stamped" = "$hash test" ] || [ "$stamped" = "$hash $extra" ]; then
        return
    fi
    rm -f "$stamp"
    if [ -z "$extra" ]; then
        say "installing wirecore (half a minute, most of it for the C compiler)"
        mode=${WIRECORE_BUILD:-auto}
    else
        say "installing wirecore, compiled and in place, with the tools for its tests (minutes)"
    fi
    WIRECORE_BUILD=$mode python -m pip install -q -e ".${extra:+[$extra]}"
    printf '%s %s\n' "$hash" "$extra" >"$stamp"
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
