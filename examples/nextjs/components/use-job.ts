"use client";
// One piece of work, from the click to its end: sent with a key until a studio takes it, then followed by its events,
// and sent again with the same key where its studio got lost.
import { useCallback, useEffect, useReducer, useRef } from "react";
import { AWAY } from "@/lib/errors";
import { type Change, IDLE, next } from "@/lib/job-state";
import { backoff, sleep } from "@/lib/retry";
import type { Told } from "@/lib/told";

export type Send = (signal: AbortSignal) => Promise<Response>;
type Run = { stop: AbortController; wake: AbortController; jobId: string | null };

export function useJob() {
  const [state, dispatch] = useReducer(next, IDLE);
  const run = useRef<Run | null>(null);

  const start = useCallback((send: Send) => {
    run.current?.stop.abort();
    const mine: Run = { stop: new AbortController(), wake: new AbortController(), jobId: null };
    run.current = mine;
    dispatch({ type: "started" });
    void work(send, mine, (change) => mine.stop.signal.aborted || dispatch(change));
  }, []);

  const retryNow = useCallback(() => run.current?.wake.abort(), []);

  const cancel = useCallback(() => {
    const mine = run.current;
    if (!mine) return;
    const leave = (message: string) => {
      if (mine.stop.signal.aborted) return;
      mine.stop.abort();
      dispatch({ type: "ended", outcome: { state: "cancelled", message } });
    };
    // One that no studio has taken yet ends here; of the others the events tell the end.
    if (!mine.jobId) return leave("Cancelled.");
    fetch(`/api/jobs/${mine.jobId}`, { method: "DELETE" })
      .then((answer) => answer.ok)
      .catch(() => false)
      .then((told) => told || leave("The service could not be told to stop. It may go on, but this page has left it."));
  }, []);

  useEffect(() => () => run.current?.stop.abort(), []);

  return { state, start, retryNow, cancel };
}

async function work(send: Send, run: Run, tell: (change: Change) => void): Promise<void> {
  const signal = run.stop.signal;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const answer = await send(signal).catch(() => null);
    if (signal.aborted) return;
    if (answer?.status === 202) {
      const { jobId }: { jobId: string } = await answer.json();
      run.jobId = jobId;
      tell({ type: "accepted", jobId });
      if ((await listen(jobId, signal, tell)) === "ended") return;
      run.jobId = null;
    } else {
      const error = answer && (await errorOf(answer));
      const reason = AWAY.find((type) => type === error?.type);
      if (error && !reason) return tell({ type: "refused", message: error.message });
      tell({ type: "unreachable", reason: reason ?? "offline" });
    }
    run.wake = new AbortController();
    const asked = Number(answer?.headers.get("retry-after") ?? 0) * 1000;
    await sleep(Math.max(asked, backoff(attempt)), AbortSignal.any([signal, run.wake.signal]));
  }
}

/** null where the answer is not this app's but, say, of a proxy in front of it that does not reach it. */
async function errorOf(answer: Response): Promise<{ type: string; message: string } | null> {
  const body: { error?: { type: string; message: string } } | null = await answer.json().catch(() => null);
  if (body?.error) return body.error;
  return answer.status < 502 ? { type: "error", message: `The server answered ${answer.status}.` } : null;
}

function listen(jobId: string, signal: AbortSignal, tell: (change: Change) => void): Promise<"ended" | "lost"> {
  return new Promise((resolve) => {
    const events = new EventSource(`/api/jobs/${jobId}/events`);
    const close = (how: "ended" | "lost") => {
      events.close();
      resolve(how);
    };
    signal.addEventListener("abort", () => close("lost"));
    events.onmessage = ({ data }) => {
      const told: Told = JSON.parse(data);
      tell(told);
      if (told.type === "ended" || told.type === "lost") close(told.type);
    };
    events.onerror = () => {
      // It comes back by itself with Last-Event-ID, unless it was refused.
      tell({ type: "reconnecting" });
      if (events.readyState === EventSource.CLOSED) close("lost");
    };
  });
}
