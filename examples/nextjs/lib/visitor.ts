// Who asks. This app has no log-in: put yours here, and every route below uses it.
import "server-only";
import { cookies } from "next/headers";
import { Refused } from "./errors";

const COOKIE = "visitor";

/** An opaque id, which the studio takes turns by. Raises Refused for a form that another site sends in a visitor's name. */
export async function visitorOf(request: Request): Promise<string> {
  const site = request.headers.get("sec-fetch-site") ?? "none";
  if (site !== "same-origin" && site !== "none") throw new Refused(403, "other_site", "Only this site's own pages may do that.", null);
  const jar = await cookies();
  const known = jar.get(COOKIE)?.value;
  if (known && /^[0-9a-f-]{36}$/.test(known)) return known;
  const id = crypto.randomUUID();
  jar.set(COOKIE, id, { httpOnly: true, sameSite: "lax", secure: new URL(request.url).protocol === "https:", maxAge: 31_536_000 });
  return id;
}
