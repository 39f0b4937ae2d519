"""The checks of ci/release-check: what must agree before a release is built.

Prints a line for each check that passed. The first that fails ends the run with exit code 1 and
says what disagrees.
"""

from __future__ import annotations

import argparse
import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def require(condition: object, problem: str) -> None:
    """Ends the run with *problem* unless *condition* holds."""
    if not condition:
        sys.exit(f"error: {problem}")


def passed(text: str) -> None:
    sys.stdout.write(f"ok: {text}\n")


def version() -> str:
    """The version as it stands in wirecore/__init__.py."""
    tree = ast.parse((ROOT / "wirecore" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    sys.exit("error: wirecore/__init__.py has no __version__")


def check_versions(tag: str) -> None:
    """The package, the newest entry of the changelog and the tag name one version."""
    here = version()
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    entry = re.search(r"^## \[?(\d[\w.]*)\]?", changelog, re.MULTILINE)
    require(entry, "CHANGELOG.md has no entry for a version")
    newest = entry[1] if entry else ""
    require(newest == here, f"the changelog's newest entry is {newest}, the package is {here}")
    require(tag in ("", f"v{here}"), f"the tag is {tag}, the package is {here}")
    passed(f"package, changelog{' and tag' if tag else ''} say {here}")


def build_identifiers() -> set[str]:
    """What cibuildwheel would build with this project's settings, all platforms together."""
    found: set[str] = set()
    for platform, archs in (
        ("linux", "x86_64,aarch64"),
        ("macos", "x86_64,arm64"),
        ("windows", "AMD64"),
    ):
        command = (sys.executable, "-m", "cibuildwheel", "--print-build-identifiers")
        options = ("--platform", platform, "--archs", archs, str(ROOT))
        done = subprocess.run([*command, *options], check=True, capture_output=True, text=True)
        found |= set(done.stdout.split())
    return found


def check_wheels(project: dict[str, Any]) -> None:
    """Every Python that the classifiers promise gets a wheel for every platform."""
    promised = {
        match[1]
        for classifier in project["classifiers"]
        if (match := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier))
    }
    platforms = (
        "manylinux_x86_64",
        "manylinux_aarch64",
        "musllinux_x86_64",
        "musllinux_aarch64",
        "macosx_x86_64",
        "macosx_arm64",
        "win_amd64",
    )
    expected = {f"cp{p.replace('.', '')}-{platform}" for p in promised for platform in platforms}
    found = build_identifiers()
    require(found == expected, f"wheels promised or built, not both: {sorted(found ^ expected)}")
    oldest = min(promised, key=lambda text: int(text.partition(".")[2]))
    require(
        project["requires-python"] == f">={oldest}",
        f"requires-python is {project['requires-python']}, the classifiers start at {oldest}",
    )
    passed(f"{len(found)} wheels, for Python {', '.join(sorted(promised))}")


def check_workflow() -> None:
    """The workflow parses, its jobs hang together, and only publishing may act as the project."""
    text = (ROOT / "ci" / "release.yml").read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    require(set(jobs) == {"sources", "wheels", "publish"}, f"unexpected jobs: {sorted(jobs)}")
    require(workflow["permissions"] == {"contents": "read"}, "the workflow may do more than read")
    require(set(jobs["publish"]["needs"]) == {"sources", "wheels"}, "publish must wait for all")
    for name, job in jobs.items():
        wanted = {"id-token": "write"} if name == "publish" else None
        require(job.get("permissions") == wanted, f"permissions of the job {name}")
        for step in job["steps"]:
            uses = step.get("uses", "")
            require("run" in step or "@" in uses, f"{name}: an action without a version: {uses}")
            for script in re.findall(r"\bci/[\w-]+", step.get("run", "")):
                require((ROOT / script).is_file(), f"{name}: {script} does not exist")
    passed(f"the workflow's jobs: {', '.join(jobs)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="ci/release-check", description=__doc__)
    parser.add_argument("--tag", default="", help="the tag to be released, such as v1.2.3")
    arguments = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    check_versions(arguments.tag)
    check_wheels(project)
    check_workflow()


main()
