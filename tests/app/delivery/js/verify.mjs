// Verifies a message as a Next.js route does: node verify.mjs SECRET, the headers and the body as JSON on stdin.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { headers, body } = JSON.parse(readFileSync(0, "utf8"));
const message = new Webhook(process.argv[2]).verify(body, headers);
console.log(JSON.stringify({ type: message.type, jobId: message.data.job_id }));
