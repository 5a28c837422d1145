"""What `kill -9` may not cost: an acknowledged job."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from app.jobs.lane import Lane
from app.jobs.model import JobState
from app.jobs.queue import Jobs
from app.jobs.store.opening import open_stores

ROOT = Path(__file__).parents[3]

# One job that ends, one that runs for ever, one that waits; then the process kills itself without warning.
VICTIM = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from app.jobs.queue import Jobs
from app.jobs.lane import Lane
from app.jobs.store.opening import open_stores

folder = Path(sys.argv[1])
jobs = Jobs(open_stores(folder), {"image": Lane("image", lambda: None)})
jobs.start()
running = threading.Event()
done = jobs.submit("image", {}, lambda c: {"f": c.keep("1.png", "image/png", b"x").id}, owner="ann")
asyncio.run(jobs.finished(done.id, "ann"))
stuck = jobs.submit("image", {}, lambda c: (running.set(), threading.Event().wait())[0], owner="ann")
waiting = jobs.submit("image", {}, lambda c: {}, owner="ann")
running.wait()
(folder / "uploads" / stuck.id).write_bytes(b"half")
print(done.id, stuck.id, waiting.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_restart_after_kill_9_knows_every_acknowledged_job(tmp_path: Path) -> None:
    victim = subprocess.run(
        [sys.executable, "-c", VICTIM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert victim.returncode == -9, victim.stderr
    done_id, stuck_id, waiting_id = victim.stdout.split()
    lane = Lane("image", lambda: None)
    jobs = Jobs(open_stores(tmp_path), {"image": lane})
    jobs.start()
    done = jobs.get(done_id, "ann")
    assert done.state is JobState.SUCCEEDED
    assert jobs.file(done.files[0].id, "ann")[1] == b"x"
    for job_id in (stuck_id, waiting_id):
        job = jobs.get(job_id, "ann")
        assert job.state is JobState.INTERRUPTED
        assert job.error is not None
        assert "Send it again" in job.error.message
    assert list((tmp_path / "uploads").iterdir()) == []
    jobs.close()
