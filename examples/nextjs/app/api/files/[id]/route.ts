// GET: a result's file, with this app's token; ?w= for a picture of at most that width.
import { answered } from "@/lib/answers";
import { file } from "@/lib/studio";

const KEPT = ["content-type", "content-length", "etag", "cache-control", "content-disposition"];

export const GET = (request: Request, { params }: RouteContext<"/api/files/[id]">) =>
  answered(async () => {
    const width = Number(new URL(request.url).searchParams.get("w")) || undefined;
    const found = await file((await params).id, width);
    const headers = KEPT.flatMap((name) => (found.headers.has(name) ? [[name, found.headers.get(name)!] as [string, string]] : []));
    return new Response(found.body, { headers });
  });
