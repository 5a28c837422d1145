"""The log of the studio: as of every process (engines/logs.py), and a line of JSON for each job that ended."""

from __future__ import annotations

import logging

from engines import logs

JOB_LOG = "carrot.jobs"
"""Name of the logger that has a line of JSON for each job that ended."""


def set_up_logging() -> None:
    """What goes wrong, and the line of JSON of each job, go to stderr. Call it once."""
    logs.set_up_logging()
    jobs = logging.StreamHandler()
    jobs.setFormatter(logging.Formatter("%(message)s"))
    job_log = logging.getLogger(JOB_LOG)
    job_log.addHandler(jobs)
    job_log.setLevel(logging.INFO)
    job_log.propagate = False
