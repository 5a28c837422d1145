// Where the studio posts a job that has ended (standardwebhooks.com). Nothing in a message is used before its signature
// is good, and then only the job's id: what is kept is asked for.
import { Webhook } from "standardwebhooks";
import { answered, refusal } from "@/lib/answers";
import { keepAvatar } from "@/lib/firestore";
import { find } from "@/lib/studio";

export async function POST(request: Request): Promise<Response> {
  // Two, separated by a space, while a secret is replaced.
  const secrets = (process.env.STUDIO_WEBHOOK_SECRET ?? "").split(/\s+/).filter(Boolean);
  const body = await request.text();
  const sent = Object.fromEntries(request.headers);
  const good = secrets.some((secret) => {
    try {
      new Webhook(secret).verify(body, sent);
      return true;
    } catch {
      return false;
    }
  });
  if (!good) return refusal(401, "signature_refused", "The message is not signed with this app's STUDIO_WEBHOOK_SECRET, or is too old.");
  const message: { type: string; data: { job_id: string } } = JSON.parse(body);
  // Anything but 2xx is sent again, for three days.
  return answered(async () => {
    const { job } = await find(message.data.job_id);
    const picture = job.kind === "avatar" ? job.result?.images[0] : undefined;
    if (job.kind === "avatar" && picture) await keepAvatar(job.job_id, { fileId: picture.file_id, prompt: job.request.prompt });
    return new Response(null, { status: 204 });
  });
}
