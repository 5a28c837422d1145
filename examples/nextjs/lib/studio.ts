// The studio's HTTP interface, typed by its own OpenAPI (`npm run types`). The token never leaves this server.
import "server-only";
import createClient, { type Client } from "openapi-fetch";
import { Refused, Unreachable } from "./errors";
import type { components, paths } from "./studio-api";
import type { Job } from "./told";

type Schemas = components["schemas"];
export type NewJob = Schemas["NewAvatar"] | Schemas["NewHero"] | Schemas["NewTranscription"];

/** Long enough for a studio behind two proxies, short enough that a visitor sees a placeholder instead of nothing. */
const ANSWER_MS = 10_000;
const UPLOAD_MS = 120_000;

export type Box = { url: string; api: Client<paths> };

/** Raises with the variable's name where one cannot be used. */
export function boxes(): Box[] {
  const { VAST_AI_URL = "", VAST_AI_URLS = "" } = process.env;
  const urls = `${VAST_AI_URL},${VAST_AI_URLS}`.split(",").map((url) => url.trim().replace(/\/+$/, ""));
  const found = [...new Set(urls.filter(Boolean))];
  if (!found.length) throw new Error("VAST_AI_URL is not set: write the studio's address, e.g. http://localhost:7860.");
  const wrong = found.find((url) => !/^https?:\/\/[^/]/.test(url));
  if (wrong) throw new Error(`VAST_AI_URL or VAST_AI_URLS has ${wrong}: an address starts with http:// or https://.`);
  return found.map((url) => ({ url, api: createClient<paths>({ baseUrl: url, headers: headers() }) }));
}

export function headers(): Record<string, string> {
  const token = process.env.STUDIO_TOKEN;
  return token ? { Authorization: `Bearer ${token}` } : {};
}

/**
 * Make a job on the first studio that takes it. The same key again is the same job there, so this may be repeated
 * whenever the answer got lost. Raises Unreachable, Refused.
 */
export async function submit(job: NewJob, key: string, recording?: File): Promise<Job> {
  return first(async ({ api }) => {
    const params = { header: { "idempotency-key": key } };
    if (!recording) return api.POST("/jobs", { params, body: job, signal: AbortSignal.timeout(ANSWER_MS) });
    const form = new FormData();
    form.set("job", JSON.stringify(job));
    form.set("audio", recording);
    return api.POST("/jobs/upload", {
      params,
      body: { job: "" },
      bodySerializer: () => form,
      signal: AbortSignal.timeout(UPLOAD_MS),
    });
  });
}

/** The job, and the studio that has it. Raises Unreachable, Refused (404 where no studio knows it). */
export async function find(jobId: string): Promise<{ job: Job; box: Box }> {
  return first(async (box) => {
    const params = { path: { job_id: jobId } };
    const answer = await box.api.GET("/jobs/{job_id}", { params, signal: AbortSignal.timeout(ANSWER_MS) });
    return answer.data ? { response: answer.response, data: { job: answer.data, box } } : answer;
  });
}

/** Raises as `find` does. */
export async function cancel(jobId: string): Promise<Job> {
  const { box } = await find(jobId);
  const params = { path: { job_id: jobId } };
  const answer = await first(
    ({ api }) => api.DELETE("/jobs/{job_id}", { params, signal: AbortSignal.timeout(ANSWER_MS) }),
    [box],
  );
  // The other answer is that to `forget`.
  return answer as Job;
}

/** A result's bytes as they come. Raises as `find` does. */
export async function file(fileId: string, width: number | undefined): Promise<Response> {
  return first(async ({ api }) => {
    const answer = await api.GET("/files/{file_id}", {
      params: { path: { file_id: fileId }, query: width ? { format: "webp", w: width } : {} },
      parseAs: "stream",
      signal: AbortSignal.timeout(UPLOAD_MS),
    });
    return { response: answer.response, data: answer.response.ok ? answer.response : undefined, error: answer.error };
  });
}

type Answer<T> = { response: Response; data?: T | undefined; error?: unknown };

/** The answer of the first studio that has one; what does not know a job or is away or busy, is passed over. */
async function first<T>(ask: (box: Box) => Promise<Answer<T>>, among: Box[] = boxes()): Promise<T> {
  let unknown: Refused | undefined;
  let away: Unreachable | undefined;
  for (const box of among) {
    let answer: Answer<T>;
    try {
      answer = await ask(box);
    } catch {
      away ??= new Unreachable("unreachable", "The studio cannot be reached.");
      continue;
    }
    if (answer.data !== undefined) return answer.data;
    const { status, headers } = answer.response;
    const error = (answer.error as { error?: Partial<Schemas["ErrorDetails"]> } | undefined)?.error ?? {};
    const message = error.message ?? `The studio answered ${status}.`;
    // A visitor can do nothing about the token of this app.
    if (status === 401) throw new Refused(502, "token_refused", "The image service does not accept this app's STUDIO_TOKEN.", null);
    if (status === 429 || status >= 502) away = new Unreachable(status === 429 || status === 503 ? "busy" : "unreachable", message, Number(headers.get("retry-after")) || undefined);
    else if (status === 404) unknown = new Refused(404, error.type ?? "not_found", message, error.field ?? null);
    else throw new Refused(status, error.type ?? "refused", message, error.field ?? null);
  }
  // One that is away may be the one that knows it.
  throw away ?? unknown ?? new Unreachable("unreachable", "No studio answered.");
}
