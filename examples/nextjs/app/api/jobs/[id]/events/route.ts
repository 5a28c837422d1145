// GET: a job's events for an EventSource, which comes back with Last-Event-ID by itself if this server goes away.
import { follow } from "@/lib/follow";

const HEARTBEAT_MS = 15_000;

export async function GET(request: Request, { params }: RouteContext<"/api/jobs/[id]/events">): Promise<Response> {
  const { id } = await params;
  const left = new AbortController();
  const signal = AbortSignal.any([request.signal, left.signal]);
  const events = follow(id, request.headers.get("last-event-id"), signal);
  const encoder = new TextEncoder();
  let heartbeat: NodeJS.Timeout;
  const body = new ReadableStream<Uint8Array>({
    start(out) {
      heartbeat = setInterval(() => out.enqueue(encoder.encode(": \n\n")), HEARTBEAT_MS);
    },
    async pull(out) {
      const { done, value } = await events.next();
      if (done) {
        clearInterval(heartbeat);
        out.close();
        return;
      }
      const id = value.id ? `id: ${value.id}\n` : "";
      out.enqueue(encoder.encode(`${id}data: ${JSON.stringify(value.told)}\n\n`));
    },
    cancel() {
      clearInterval(heartbeat);
      left.abort();
    },
  });
  return new Response(body, {
    headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no" },
  });
}
