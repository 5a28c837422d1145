// OpenAI's shapes as JavaScript calls them: OpenAI's own client, and Vercel's AI SDK. Prints what came as one line of JSON.
import { readFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { experimental_transcribe as transcribe, generateImage } from "ai";
import OpenAI, { toFile } from "openai";

const [who, url, photoPath, soundPath] = process.argv.slice(2);
const baseURL = `${url}/v1`;
const photo = readFileSync(photoPath);
const sound = readFileSync(soundPath);
const kindOf = (base64) => Buffer.from(base64, "base64").subarray(1, 4).toString();

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function openai() {
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const models = (await client.models.list()).data.map((model) => model.id);
  const image = await toFile(photo, "me.png", { type: "image/png" });
  const edited = await client.images.edit({ image, prompt: "a knight" });
  const listed = await client.images.edit({ image: [image], prompt: "a knight" });
  const drawn = await all(await client.images.generate({ prompt: "a fox", stream: true, partial_images: 1 }));
  const redrawn = await all(await client.images.edit({ image, prompt: "a fox", stream: true }));
  const file = await toFile(sound, "a.wav");
  const heard = await all(await client.audio.transcriptions.create({ model: "echo", file, stream: true }));
  const refused = await client.images.edit({ image, mask: image, prompt: "x" }).catch((error) => error);
  return {
    models,
    edited: [edited, listed].map((answer) => kindOf(answer.data[0].b64_json)),
    drawn: drawn.at(-1).type,
    redrawn: redrawn.at(-1).type,
    deltas: heard.slice(0, -1).map((event) => event.delta),
    text: heard.at(-1).text,
    refused: [refused.status, refused.type],
  };
}

// Reads a stream whose job waits at its last step, cancels the job, and tells what the client raises.
async function cancelled() {
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  const stream = await client.images.generate({ prompt: "a fox", stream: true, partial_images: 1 });
  try {
    for await (const event of stream) {
      await fetch(`${url}/jobs/${event.job_id}`, { method: "DELETE" });
    }
  } catch (error) {
    return { raised: error instanceof OpenAI.APIError, type: error.type, code: error.code };
  }
  return { raised: false };
}

async function ai() {
  const provider = createOpenAI({ baseURL, apiKey: "none" });
  const compatible = createOpenAICompatible({ name: "studio", baseURL });
  const made = [];
  for (const model of [provider.image("blob"), compatible.imageModel("blob")]) {
    const drawn = await generateImage({ model, prompt: "a fox", size: "512x256", n: 2, maxImagesPerCall: 2 });
    const edited = await generateImage({ model, prompt: { text: "a knight", images: [photo] } });
    made.push([...drawn.images, ...edited.images].map((image) => image.mediaType));
  }
  const heard = await transcribe({ model: provider.transcription("whisper-1"), audio: sound });
  return { made, text: heard.text };
}

const told = await { openai, cancelled, ai }[who]();
console.log(JSON.stringify(told));
// OpenAI's client keeps a connection open.
process.exit(0);
