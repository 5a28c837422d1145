// What the social app's server reads of our answers. It must compile as it stands: every type comes from /openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./studio.ts";

const studio = createClient<paths>({ baseUrl: "http://localhost:7860" });

export async function seedOfAPicture(): Promise<number> {
  const { data } = await studio.POST("/generate", { body: { prompt: "a red fox", steps: 20 } });
  return data!.seed;
}

export async function seedsOfAJob(id: string): Promise<number[]> {
  const { data } = await studio.GET("/jobs/{job_id}", { params: { path: { job_id: id } } });
  const job = data!;
  if (job.kind === "transcription" || job.kind === "live") return [];
  // @ts-expect-error a job that is not done has no result
  job.result.images;
  return job.result?.images.map((picture) => picture.recipe.seed) ?? [];
}

export async function startOfAWord(id: string): Promise<number | undefined> {
  const { data } = await studio.GET("/jobs/{job_id}", { params: { path: { job_id: id } } });
  if (data!.kind !== "transcription") return undefined;
  return data!.result?.segments[0]?.words[0]?.start;
}

export async function makesAJob(): Promise<string> {
  const { data, error } = await studio.POST("/jobs", {
    body: { kind: "avatar", request: { prompt: "a knight", seed: 7 }, user: "u-1", priority: "batch", },
  });
  if (error) throw new Error(error.error.message);
  return data!.status_url;
}

export function wordOfAnAnswer(answer: components["schemas"]["VerboseAnswer"]): number | undefined {
  return answer.words?.[0]?.start;
}

export async function health(): Promise<boolean> {
  const { data } = await studio.GET("/health");
  return data!.status === "healthy" && data!.models_loaded;
}

export async function refuses(): Promise<void> {
  // @ts-expect-error a prompt is text
  await studio.POST("/generate", { body: { prompt: 7 } });
  // @ts-expect-error there is no such kind
  await studio.POST("/jobs", { body: { kind: "cat", request: { prompt: "x" } } });
}
