"""What became of jobs since the start, counted for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.jobs.model import FETCH, Job, JobState

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""From a small picture on a CPU to hours of speech."""


class JobMetrics:
    """Thread-safe, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "studio_jobs_ended", "Jobs that came to an end", ["kind", "state"], registry=self.registry
        )
        self._waited = Histogram(
            "studio_job_wait_seconds",
            "From the job's arrival to its first start",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._ran = Histogram(
            "studio_job_run_seconds",
            "From the last start to the end, of jobs that succeeded",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )

    def observe(self, job: Job) -> None:
        """The job has come to a new state."""
        # A job whose file is fetched is started twice; it waits until its device starts it.
        if job.state is JobState.RUNNING and job.attempt == 1 and job.device != FETCH and job.started_at is not None:
            self._waited.labels(job.kind).observe(max(0.0, job.started_at - job.created_at))
        if job.final:
            self._ended.labels(job.kind, job.state.value).inc()
        if job.state is JobState.SUCCEEDED and job.started_at is not None and job.finished_at is not None:
            self._ran.labels(job.kind).observe(max(0.0, job.finished_at - job.started_at))
