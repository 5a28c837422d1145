// DELETE cancels a job; its id is known to nobody but who made it.
import { answered } from "@/lib/answers";
import { cancel } from "@/lib/studio";
import { visitorOf } from "@/lib/visitor";

export const DELETE = (request: Request, { params }: RouteContext<"/api/jobs/[id]">) =>
  answered(async () => {
    await visitorOf(request);
    const job = await cancel((await params).id);
    return Response.json({ state: job.state }, { status: 202 });
  });
