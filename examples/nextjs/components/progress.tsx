"use client";
// How far a job is, in words and as a bar.
import type { JobState } from "@/lib/job-state";
import styles from "./progress.module.css";

const STAGES: Record<string, string> = {
  fetch: "Fetching",
  encode: "Reading your words",
  denoise: "Painting",
  decode: "Developing",
  upload: "Sending",
  transcribe: "Listening",
};

export function wordsOf({ phase, ahead, progress }: JobState): string {
  switch (phase) {
    case "sending":
      return "Sending…";
    case "queued":
      return ahead > 0 ? `Waiting: ${ahead} ahead of you` : "Next in line";
    case "reconnecting":
      return "Reconnecting… your request is safe and goes on.";
    case "running": {
      if (!progress) return "Starting…";
      const step = progress.total > 1 ? `, step ${progress.step} of ${progress.total}` : "";
      const eta = progress.etaSeconds && progress.etaSeconds >= 1 ? `, about ${Math.ceil(progress.etaSeconds)} s left` : "";
      return `${STAGES[progress.stage] ?? "Working"}${step}${eta}`;
    }
    default:
      return "";
  }
}

export function Progress({ job, onCancel }: { job: JobState; onCancel: () => void }) {
  if (job.phase === "idle" || job.phase === "ended" || job.phase === "unreachable") return null;
  const fraction = job.progress?.fraction ?? 0;
  return (
    <div className={styles.progress} data-phase={job.phase}>
      <div className={styles.line}>
        <span role="status">{wordsOf(job)}</span>
        <button type="button" className="quiet" onClick={onCancel}>
          Cancel
        </button>
      </div>
      <progress max={1} {...(job.phase === "running" ? { value: fraction } : {})} aria-label="Progress" />
    </div>
  );
}
