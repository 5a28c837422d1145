// How the routes answer when something is wrong: the studio's own shape, {error: {type, message, field}}.
import "server-only";
import { Refused, Unreachable } from "./errors";

export function refusal(status: number, type: string, message: string, field: string | null = null): Response {
  return Response.json({ error: { type, message, field } }, { status });
}

/** Runs the route; Refused and Unreachable become answers, anything else stays an error of this server. */
export async function answered(route: () => Promise<Response>): Promise<Response> {
  try {
    return await route();
  } catch (error) {
    if (error instanceof Refused) return refusal(error.status, error.type, error.message, error.field);
    if (error instanceof Unreachable) {
      const answer = refusal(503, error.type, error.message);
      answer.headers.set("Retry-After", String(error.retryAfterSeconds ?? 2));
      return answer;
    }
    throw error;
  }
}

/** A visitor's key for one piece of work: a UUID, which is also the id of the post that it makes. */
export function keyOf(value: unknown): string {
  if (typeof value !== "string" || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value))
    throw new Refused(422, "invalid_request", "key must be a UUID, which names the work so that it is done once.", "key");
  return value;
}
