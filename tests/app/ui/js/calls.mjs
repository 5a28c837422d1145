// Run by test_js_client.py: what a Next.js app does with @gradio/client. Prints one JSON line.
// Usage: node calls.mjs good URL SOUND | node calls.mjs cancel URL
import { readFile } from "node:fs/promises";
import { Client } from "@gradio/client";

async function good(client, sound) {
  const avatar = await client.predict("/avatar", { prompt: "A blue knight", seed: 7, count: 2 });
  const audio = new Blob([await readFile(sound)], { type: "audio/wav" });
  const spoken = await client.predict("/transcribe", { audio });
  let refused = "";
  try {
    await client.predict("/avatar", { prompt: "x", count: 9 });
  } catch (error) {
    refused = error.message;
  }
  return { avatar: avatar.data, spoken: spoken.data, refused };
}

async function cancel(client) {
  const job = client.submit("/avatar", { prompt: "A knight" });
  let id = null;
  let said = "no error";
  for await (const event of job) {
    if (event.type === "data" && id === null) {
      id = event.data[1].job_id;
      await client.predict("/cancel", { job_id: id });
    }
    if (event.type === "status" && event.stage === "error") {
      said = event.message;
      break;
    }
  }
  const after = await client.predict("/job", { job_id: id });
  return { said, state: after.data[1].state };
}

const [what, url, sound] = process.argv.slice(2);
const client = await Client.connect(url, { events: ["data", "status"] });
console.log(JSON.stringify(what === "good" ? await good(client, sound) : await cancel(client)));
// The client keeps a heartbeat open, which would hold the process.
process.exit(0);
