// What can go wrong on the way to a service, and what a visitor may be told of it.

/** Why something is worth another try with the same key. */
export const AWAY = ["unreachable", "busy", "database_unreachable"] as const;
export type Away = (typeof AWAY)[number];

/** No studio answers, or all are too busy, or Firestore does not answer. */
export class Unreachable extends Error {
  constructor(
    readonly type: Away,
    message: string,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
  }
}

/** The studio said no, in words that are fit to be shown. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    message: string,
    readonly field: string | null,
  ) {
    super(message);
  }
}
