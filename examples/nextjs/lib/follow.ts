// A job's events, across whatever happens to the connection or the studio in between.
import "server-only";
import { EventSourceParserStream, type EventSourceMessage } from "eventsource-parser/stream";
import { Refused } from "./errors";
import { backoff, sleep } from "./retry";
import { type Box, find, headers } from "./studio";
import { type Job, outcomeOf, type Told } from "./told";

/** The studio sends at least a comment every 15 s: three of them missing is a connection that is dead. */
const SILENCE_MS = 45_000;
/** After so long without its studio the job is given up here, and the browser sends it again, perhaps to another one. */
const AWAY_MS = 60_000;

export type Event = { id?: string; told: Told };

/** Ends after `ended` or `lost`, or when the signal aborts. `after`: the last id that the browser has seen. */
export async function* follow(jobId: string, after: string | null, signal: AbortSignal): AsyncGenerator<Event> {
  let lastId = after;
  let awaySince = Infinity;
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const { box } = await find(jobId);
      for await (const message of messages(box, jobId, lastId, signal)) {
        attempt = 0;
        awaySince = Infinity;
        lastId = message.id ?? lastId;
        const told = toldBy(message);
        if (told) yield { ...(message.id ? { id: message.id } : {}), told };
        if (told?.type === "ended") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) {
        // A studio that was set up anew does not know its old jobs.
        yield { told: { type: "lost" } };
        return;
      }
    }
    if (signal.aborted) return;
    awaySince = Math.min(awaySince, Date.now());
    if (Date.now() - awaySince > AWAY_MS) {
      yield { told: { type: "lost" } };
      return;
    }
    yield { told: { type: "reconnecting" } };
    await sleep(Math.min(backoff(attempt), 4_000), signal);
  }
}

async function* messages(box: Box, jobId: string, after: string | null, signal: AbortSignal): AsyncGenerator<EventSourceMessage> {
  const silent = new AbortController();
  const gone = AbortSignal.any([signal, silent.signal]);
  let timer = setTimeout(() => silent.abort(), SILENCE_MS);
  const heard = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, out) {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE_MS);
      out.enqueue(chunk);
    },
  });
  try {
    const answer = await fetch(`${box.url}/jobs/${encodeURIComponent(jobId)}/events`, {
      headers: { ...headers(), Accept: "text/event-stream", ...(after ? { "Last-Event-ID": after } : {}) },
      cache: "no-store",
      signal: gone,
    });
    if (answer.status === 204) {
      // Its end has been told, and the browser asks again all the same.
      yield { event: "completed", id: after ?? undefined, data: JSON.stringify((await find(jobId)).job) };
      return;
    }
    if (!answer.ok || !answer.body) throw new Error(`events: ${answer.status}`);
    const text = answer.body.pipeThrough(heard).pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>);
    const reader = text.pipeThrough(new EventSourceParserStream()).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    clearTimeout(timer);
    // Hangs up, if the studio has not.
    silent.abort();
  }
}

function toldBy(message: EventSourceMessage): Told | undefined {
  const data = JSON.parse(message.data);
  switch (message.event) {
    case "queued":
      return { type: "queued", ahead: data.ahead };
    case "progress":
      return { type: "progress", stage: data.stage, step: data.step, total: data.total, fraction: data.fraction, etaSeconds: data.eta_seconds ?? null };
    case "preview":
      return { type: "preview", image: data.image };
    case "segment":
      return { type: "segment", text: data.text, start: data.start, end: data.end };
    case "completed":
      return { type: "ended", outcome: outcomeOf(data as Job) };
    default:
      // Events that a later studio may add.
      return undefined;
  }
}
