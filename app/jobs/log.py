"""The log's line of a job that has ended: ids, times and how it ended, and nothing that anybody wrote."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from app.jobs.model import Job
from app.logs import JOB_LOG


def log_end(job: Job, stages: Mapping[str, float]) -> None:
    """`stages`: seconds of each."""
    started, finished = job.started_at, job.finished_at or job.created_at
    line = {
        "job_id": job.id,
        "kind": job.kind,
        "account": job.account,
        "state": job.state.value,
        # Its type alone: the sentence may repeat a value.
        "error": job.error.type if job.error else None,
        "attempt": job.attempt,
        "created_at": round(job.created_at, 3),
        "wait_seconds": round((started or finished) - job.created_at, 3),
        "run_seconds": 0.0 if started is None else round(finished - started, 3),
        "stages": {name: round(seconds, 3) for name, seconds in stages.items()},
    }
    logging.getLogger(JOB_LOG).info(json.dumps(line))
