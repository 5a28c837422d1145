// What the browser is told of a job: no address, token or request of the studio's, and one shape for every kind.
import type { components } from "./studio-api";

type Schemas = components["schemas"];
export type Job = Schemas["AvatarJob"] | Schemas["HeroJob"] | Schemas["ImageJob"] | Schemas["TranscriptionJob"] | Schemas["LiveJob"];

export type Picture = { src: string; width: number; height: number; seed: number };
export type Spoken = { text: string; start: number; end: number };

export type Outcome =
  | { state: "succeeded"; pictures: Picture[]; text: string; segments: Spoken[]; notes: string[] }
  | { state: "failed" | "cancelled"; message: string };

export type Told =
  | { type: "queued"; ahead: number }
  | { type: "progress"; stage: string; step: number; total: number; fraction: number; etaSeconds: number | null }
  | { type: "preview"; image: string }
  | ({ type: "segment" } & Spoken)
  | { type: "reconnecting" }
  | { type: "lost" }
  | { type: "ended"; outcome: Outcome };

/** Where this app serves a file of the studio's; a picture at most `width` pixels wide. */
export const fileAt = (id: string, width?: number) => `/api/files/${encodeURIComponent(id)}${width ? `?w=${width}` : ""}`;

/** What came of a job that has ended. */
export function outcomeOf(job: Job): Outcome {
  const notes = job.warnings.map((warning) => warning.message);
  if (job.state !== "succeeded" || !job.result) {
    const cancelled = job.state === "cancelled";
    return { state: cancelled ? "cancelled" : "failed", message: cancelled ? "Cancelled." : (job.error?.message ?? "It failed.") };
  }
  if (job.kind === "transcription" || job.kind === "live") {
    const { text, segments, note } = job.result;
    const spoken = segments.map(({ text, start, end }) => ({ text, start, end }));
    return { state: "succeeded", pictures: [], text, segments: spoken, notes: note ? [...notes, note] : notes };
  }
  const pictures = job.result.images.map(({ file_id, width, height, seed }) => ({ src: fileAt(file_id, width), width, height, seed }));
  return { state: "succeeded", pictures, text: "", segments: [], notes };
}
