// What can go wrong on the way to a service, and what a visitor may be told of it.

/** No studio, or not Firestore, answers, or all are too busy: worth another try with the same key. */
export class Unreachable extends Error {
  constructor(
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
