// Waiting longer each time, each caller a little differently, so that a studio that comes back is not stormed.

/** Milliseconds before try number `attempt` (from 0) is repeated: 0.5 to 1 s at first, 8 to 16 s at most. */
export function backoff(attempt: number): number {
  const longest = Math.min(16_000, 1_000 * 2 ** attempt);
  return longest * (0.5 + Math.random() / 2);
}

/** Sleep; earlier back if the signal aborts. */
export function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}

/** The work's end, or `late` where it takes longer: for clients without a time limit of their own. */
export function within<T>(milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), milliseconds);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
