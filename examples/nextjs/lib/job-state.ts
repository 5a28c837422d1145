// What a page shows of a job, as a function of what it was told.
import type { Away } from "./errors";
import type { Outcome, Spoken, Told } from "./told";

/** `offline`: not even this app answers. */
export type Reason = Away | "offline";

export type Phase = "idle" | "sending" | "queued" | "running" | "reconnecting" | "unreachable" | "ended";

export type JobState = {
  phase: Phase;
  jobId: string | null;
  ahead: number;
  progress: { stage: string; step: number; total: number; fraction: number; etaSeconds: number | null } | null;
  preview: string | null;
  segments: Spoken[];
  outcome: Outcome | null;
  /** Why it is unreachable. */
  reason: Reason;
};

export type Change = Told | { type: "started" } | { type: "accepted"; jobId: string } | { type: "unreachable"; reason: Reason } | { type: "refused"; message: string };

/** Why a `service` does not do it now, to follow a colon. */
export function wordsFor(reason: Reason, service: string): string {
  switch (reason) {
    case "unreachable":
      return `the ${service} cannot be reached.`;
    case "busy":
      return `the ${service} is busy.`;
    case "database_unreachable":
      return "the database of posts cannot be reached.";
    case "offline":
      return "this page has lost its connection.";
  }
}

export const IDLE: JobState = { phase: "idle", jobId: null, ahead: 0, progress: null, preview: null, segments: [], outcome: null, reason: "unreachable" };

export function next(state: JobState, change: Change): JobState {
  switch (change.type) {
    case "started":
      return { ...IDLE, phase: "sending" };
    case "accepted":
      return { ...state, phase: "queued", jobId: change.jobId };
    case "queued":
      return { ...state, phase: "queued", ahead: change.ahead };
    case "progress": {
      const { type: _, ...progress } = change;
      return { ...state, phase: "running", progress };
    }
    case "preview":
      return { ...state, phase: "running", preview: change.image };
    case "segment": {
      // A run that was broken off begins anew, and says again what it had said.
      const before = state.segments.filter((segment) => segment.start < change.start);
      return { ...state, phase: "running", segments: [...before, { text: change.text, start: change.start, end: change.end }] };
    }
    case "reconnecting":
    case "lost":
      return { ...state, phase: "reconnecting" };
    case "unreachable":
      return { ...state, phase: "unreachable", reason: change.reason };
    case "refused":
      return { ...state, phase: "ended", outcome: { state: "failed", message: change.message } };
    case "ended":
      return { ...state, phase: "ended", outcome: change.outcome };
  }
}
