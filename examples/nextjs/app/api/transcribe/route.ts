// POST a form {audio, key, title?}: makes the job of a voice post and answers at once.
// POST JSON {postId, audioUrl | videoUrl, mediaType}: the interface of the speech service, passed on to it; it waits.
import { answered, keyOf, refusal } from "@/lib/answers";
import { Refused } from "@/lib/errors";
import { keepPost } from "@/lib/firestore";
import { boxes, headers, submit } from "@/lib/studio";
import { visitorOf } from "@/lib/visitor";

const MOST_BYTES = 25 * 2 ** 20;
const WAIT_MS = 280_000;

export const POST = (request: Request) =>
  request.headers.get("content-type")?.startsWith("multipart/form-data") ? answered(() => recorded(request)) : passedOn(request);

async function recorded(request: Request): Promise<Response> {
  const user = await visitorOf(request);
  // The form is held in memory, so it needs a length that can be refused before it is read.
  const length = Number(request.headers.get("content-length") ?? Infinity);
  if (length > MOST_BYTES) throw new Refused(413, "too_large", "The recording is larger than 25 MB.", "audio");
  const form = await request.formData();
  const audio = form.get("audio");
  if (!(audio instanceof File)) throw new Refused(422, "invalid_request", "audio is missing: send a recording.", "audio");
  const key = keyOf(form.get("key"));
  const title = String(form.get("title") ?? "").slice(0, 120);
  await keepPost(key, { kind: "voice", title, summary: "", preset: "" });
  const job = await submit({ kind: "transcription", request: { post_id: key }, user }, key, audio);
  return Response.json({ jobId: job.job_id }, { status: 202 });
}

async function passedOn(request: Request): Promise<Response> {
  const body = await request.text();
  if (body.length > 65_536) return refusal(413, "too_large", "The request is larger than 64 kB.");
  const service = process.env.TRANSCRIPTION_SERVICE_URL?.replace(/\/+$/, "");
  const services = [...(service ? [service] : []), ...boxes().map((box) => box.url)];
  for (const url of services) {
    try {
      const answer = await fetch(`${url}/transcribe`, {
        method: "POST",
        headers: { ...headers(), "Content-Type": "application/json" },
        body,
        cache: "no-store",
        signal: AbortSignal.timeout(WAIT_MS),
      });
      if (answer.status !== 503) return new Response(answer.body, { status: answer.status, headers: { "Content-Type": "application/json" } });
    } catch {
      // The next one.
    }
  }
  const error = "The speech service cannot be reached. Try again in a moment.";
  return Response.json({ success: false, error, status: "failed" }, { status: 503, headers: { "Retry-After": "5" } });
}
