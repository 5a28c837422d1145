"""Running speech services as processes of this machine, and what they use."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.serving import free_port, until

CLOCK = os.sysconf("SC_CLK_TCK")


@dataclass
class Instance:
    """One service: its process, and the address that it has alone."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """As a machine that fails: without a word. What it has started ends with it."""
        self.process.kill()
        self.process.wait()

    @property
    def pids(self) -> list[int]:
        """Its process and all below it."""
        return _family(self.process.pid)

    @property
    def memory_mb(self) -> float:
        """What it would free by ending: shared pages count by their share (PSS)."""
        lines: list[list[str]] = []
        for pid in self.pids:
            # A child that has just ended has no memory.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                lines += map(str.split, Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
        return sum(int(line[1]) for line in lines if line[0] == "Pss:") / 1024

    @property
    def cpu_seconds(self) -> float:
        """Used so far by its process and those that it has now."""
        times = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids]
        return sum(int(fields[11]) + int(fields[12]) for fields in times) / CLOCK


@contextlib.contextmanager
def instances(
    count: int, command: Sequence[str], cwd: Path, env: Mapping[str, str], *, quiet: bool = False
) -> Iterator[list[Instance]]:
    """So many services, each with its own PORT, ready; ended with the block. `quiet`: their log is nobody's."""
    running: list[Instance] = []
    try:
        for _ in range(count):
            port = free_port()
            process = subprocess.Popen(
                [part.replace("{PORT}", str(port)) for part in command],
                cwd=cwd,
                env={**env, "PORT": str(port)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if quiet else None,
            )
            running.append(Instance(process, port))
        for instance in running:
            until(functools.partial(_ready, instance), 120)
        yield running
    finally:
        for instance in running:
            instance.kill()


def _ready(instance: Instance) -> bool:
    assert instance.process.poll() is None, "it ended before it was ready"
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{instance.url}/health/ready", timeout=10).status_code == 200
    return False


def _family(pid: int) -> list[int]:
    found = [pid]
    # A process may be started by any thread.
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = task / "children"
        with contextlib.suppress(OSError):
            found += [each for child in children.read_text().split() for each in _family(int(child))]
    return found
