// POST {kind: "avatar" | "hero", key, ...}: makes the picture's job and answers at once. The same key is the same job.
import { answered, keyOf } from "@/lib/answers";
import { Refused } from "@/lib/errors";
import { keepPost } from "@/lib/firestore";
import { type NewJob, submit } from "@/lib/studio";
import { visitorOf } from "@/lib/visitor";

export const POST = (request: Request) =>
  answered(async () => {
    const user = await visitorOf(request);
    const sent: unknown = await request.json().catch(() => null);
    if (typeof sent !== "object" || sent === null) throw new Refused(422, "invalid_request", "Send JSON.", null);
    const body = sent as Record<string, unknown>;
    const key = keyOf(body.key);
    const job = body.kind === "hero" ? await hero(key, body) : avatar(body);
    const made = await submit({ ...job, ...told(), user }, key);
    return Response.json({ jobId: made.job_id }, { status: 202 });
  });

function avatar(body: Record<string, unknown>): NewJob {
  const request = { prompt: words(body, "prompt", 500), preset: words(body, "preset", 64) || null };
  return { kind: "avatar", request: { ...request, count: Math.min(4, Math.max(1, Number(body.count) || 1)) } };
}

async function hero(key: string, body: Record<string, unknown>): Promise<NewJob> {
  const post = { title: words(body, "title", 120), summary: words(body, "summary", 240), preset: words(body, "preset", 64) };
  await keepPost(key, { kind: "picture", ...post });
  // With a post_id the studio tells Firestore itself where the picture is.
  return { kind: "hero", request: { title: post.title, summary: post.summary, preset: post.preset || null, post_id: key } };
}

function words(body: Record<string, unknown>, name: string, most: number): string {
  const value = body[name] ?? "";
  if (typeof value === "string" && value.length <= most) return value.trim();
  throw new Refused(422, "invalid_request", `${name} must be text of at most ${most} characters.`, name);
}

/** Where the studio tells that the job has ended, also when nobody has the page open any more. */
function told(): { webhook?: string } {
  const { APP_URL, STUDIO_WEBHOOK_SECRET } = process.env;
  return APP_URL && STUDIO_WEBHOOK_SECRET ? { webhook: `${APP_URL.replace(/\/+$/, "")}/api/webhook` } : {};
}
