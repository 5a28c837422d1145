"""Builds and runs a Dockerfile without Docker: its own instructions, in an empty root of this machine's own Linux.

The base image is stood for by this machine's `/usr`, `/etc` and Python, which the root sees in their places. What an
image adds is its own. Instructions and options that are not known here are an error, so that nothing is passed over.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SEEN = ("/usr", "/etc", "/dev", "/proc")
LINKS = ("/bin", "/lib", "/lib64", "/sbin")
PASSED = re.compile(r"PIP_.*|.*_(CERT|BUNDLE|FILE)|(https?|no|all)_proxy", re.IGNORECASE)
"""Variables by which this machine reaches a package index; a build sees no other."""


@dataclass
class Stage:
    """A root folder, and how a command is run in it."""

    root: Path
    env: dict[str, str]
    workdir: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.root / str(PurePosixPath(self.workdir) / path).lstrip("/")

    def argv(
        self, command: Sequence[str], env: Mapping[str, str], seen: Mapping[Path, str] | None = None, limits: str = ""
    ) -> list[str]:
        """What to start on this machine for `command` to run in the image, in the process that is started.

        `seen`: folders of this machine, and where the image sees them. `limits`: a shell command, such as `ulimit`.
        """
        prefix = Path(sys.base_prefix)
        places = {Path(path): path for path in SEEN} | {prefix: str(prefix)} | dict(seen or {})
        mounts = []
        for here, there in places.items():
            # Python's own folder may lie in one that is seen already.
            if here.is_dir() and not any(there.startswith(f"{other}/") for other in SEEN):
                target = self.root / there.lstrip("/")
                target.mkdir(parents=True, exist_ok=True)
                mounts.append(f"mount --rbind {shlex.quote(str(here))} {shlex.quote(str(target))}")
        root = os.geteuid() == 0
        enter = ["chroot", *([f"--userspec={self.user}"] if root else []), str(self.root)]
        values = [f"{name}={value}" for name, value in {**self.env, **env}.items()]
        inner = f"cd {shlex.quote(self.workdir)} && exec {shlex.join(command)}"
        last = f"exec {shlex.join([*enter, 'env', '-i', *values, 'sh', '-c', inner])}"
        script = " && ".join([*mounts, *([limits] if limits else []), last])
        return ["unshare", "--mount", *([] if root else ["--map-root-user"]), "sh", "-c", script]


def build(dockerfile: Path, context: Path, folder: Path, args: Mapping[str, str]) -> dict[str, Stage]:
    """Every stage by its name, the last one as ``. Raises AssertionError with what a failed step said."""
    stages: dict[str, Stage] = {}
    stage = Stage(folder, {})
    values: dict[str, str] = {}
    for line in instructions(dockerfile.read_text()):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            base, _, called = rest.partition(" AS ")
            assert re.fullmatch(r"python:3\.11-slim-bookworm", base), base
            stage = stages[called] = _base(folder / (called or "last"))
            values = {}
        elif name == "ARG":
            key, _, default = rest.partition("=")
            values[key] = args.get(key, default)
        elif name == "ENV":
            key, _, value = rest.partition("=")
            stage.env[key] = value
        elif name == "WORKDIR":
            stage.workdir = rest
            stage.inside("").mkdir(parents=True, exist_ok=True)
        elif name == "USER":
            stage.user = rest
        elif name == "COPY":
            _copy(shlex.split(rest), stage, stages, context)
        elif name == "RUN":
            _run(rest, stage, values)
        elif name == "CMD":
            stage.command = json.loads(rest)
        else:
            assert name == "EXPOSE", f"{name} is not known here"
    return stages


def instructions(text: str) -> Iterator[str]:
    """Whole ones: continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    yield from re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()


def context_files(root: Path, ignore: Path) -> list[str]:
    """What goes to the builder of the project's own files: not what `ignore`, a .dockerignore, leaves out."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True)
    rules = [line for line in ignore.read_text().splitlines() if line and not line.startswith("#")]
    return [path for path in done.stdout.splitlines() if (root / path).is_file() and not _is_ignored(path, rules)]


def _is_ignored(path: str, rules: Sequence[str]) -> bool:
    ignored = False
    for rule in rules:
        pattern = rule.lstrip("!").strip("/")
        above = [str(part) for part in (PurePosixPath(path), *PurePosixPath(path).parents)]
        # `*` ends at a slash, unlike fnmatch's.
        same_depth = [part for part in above if part.count("/") == pattern.count("/") or "**" in pattern]
        if any(fnmatch.fnmatchcase(part, pattern) for part in same_depth):
            ignored = not rule.startswith("!")
    return ignored


def _base(root: Path) -> Stage:
    for path in ("tmp", "root", "opt"):
        (root / path).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for link in LINKS:
        if Path(link).is_symlink():
            (root / link.lstrip("/")).symlink_to(Path(link).readlink())
        elif Path(link).is_dir():
            raise AssertionError(f"{link} is a folder of its own here: this Linux is too old")
    # The base image's names; a system's own Python may have other ones.
    python = shlex.quote(os.path.realpath(sys.executable))
    for name, started in (("python", python), ("pip", f"{python} -m pip")):
        command = root / "opt" / "base" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f'#!/bin/sh\nexec {started} "$@"\n')
        command.chmod(0o755)
    return Stage(root, {"PATH": "/opt/base:/usr/local/bin:/usr/bin:/bin", "HOME": "/root"})


def _copy(words: list[str], stage: Stage, stages: Mapping[str, Stage], context: Path) -> None:
    source = context
    if words[0].startswith("--"):
        option, _, name = words.pop(0).partition("=")
        assert option == "--from"
        source = stages[name].root
    *froms, to = words
    target = stage.inside(to)
    for path in froms:
        here = source / path.lstrip("/")
        if here.is_dir():
            shutil.copytree(here, target, symlinks=True, dirs_exist_ok=True)
        else:
            into = target / here.name if to.endswith("/") else target
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here, into)


def _run(rest: str, stage: Stage, values: Mapping[str, str]) -> None:
    seen: dict[Path, str] = {}
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        [target] = re.findall(r"^--mount=type=cache,target=(\S+)$", option)
        assert target == "/root/.cache/pip", target
        ask = [sys.executable, "-m", "pip", "cache", "dir"]
        cache = Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())
        cache.mkdir(parents=True, exist_ok=True)
        seen[cache] = target
    step(stage, ["sh", "-ec", rest], dict(values), seen)


def step(
    stage: Stage,
    command: Sequence[str],
    values: Mapping[str, str] | None = None,
    seen: Mapping[Path, str] | None = None,
) -> str:
    """Run one command to its end, and return what it said. Raises AssertionError with that where it fails."""
    passed = {name: value for name, value in os.environ.items() if PASSED.fullmatch(name)}
    done = subprocess.run(
        stage.argv(command, {**passed, **(values or {})}, seen),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}"
    return done.stdout
