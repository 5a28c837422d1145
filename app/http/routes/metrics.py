"""What Prometheus reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.http.deps import StudioDep
from app.jobs.worker import WorkerState
from app.studio import Studio

router = APIRouter(tags=["health"])


@router.get(
    "/metrics", response_class=Response, responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
)
def metrics(studio: StudioDep) -> Response:
    """Jobs, workers and what waits to be delivered, in Prometheus' text format. Wants a token like everything else."""
    now = CollectorRegistry()
    now.register(_Now(studio))
    text = generate_latest(now) + generate_latest(studio.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class _Now(Collector):
    """What is looked up when it is asked for."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def describe(self) -> Iterable[Metric]:
        """Nothing to look up when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        jobs = GaugeMetricFamily("studio_jobs", "Jobs that wait or run", labels=["kind", "state"])
        for (kind, state), count in Counter((job.kind, job.state) for job in self._studio.queue.unfinished()).items():
            jobs.add_metric([kind, state.value], count)
        yield jobs
        length = GaugeMetricFamily("studio_queue_length", "Jobs that wait for the worker", labels=["worker"])
        running = GaugeMetricFamily("studio_worker_running", "Jobs that the worker runs", labels=["worker"])
        states = GaugeMetricFamily("studio_worker_state", "1 for the state that it is in", labels=["worker", "state"])
        for worker in self._studio.status():
            length.add_metric([worker.name], worker.waiting)
            running.add_metric([worker.name], worker.running)
            for known in WorkerState:
                states.add_metric([worker.name, known.value], worker.state is known)
        yield from (length, running, states)
        waiting = GaugeMetricFamily("studio_outbox_waiting", "Deliveries that wait", labels=["deliverer"])
        oldest = GaugeMetricFamily("studio_outbox_oldest_seconds", "Wait of the longest of them", labels=["deliverer"])
        dead = GaugeMetricFamily("studio_outbox_dead", "Deliveries that were given up", labels=["deliverer"])
        for backlog in self._studio.queue.outbox.backlogs():
            waiting.add_metric([backlog.deliverer], backlog.waiting)
            oldest.add_metric([backlog.deliverer], backlog.oldest_seconds)
            dead.add_metric([backlog.deliverer], backlog.dead)
        yield from (waiting, oldest, dead)
