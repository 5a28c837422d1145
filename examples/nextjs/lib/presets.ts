// The looks that a studio offers. They are listed by its Gradio endpoint alone, so this is where Gradio's client is used.
import "server-only";
import { Client } from "@gradio/client";
import { unstable_cache } from "next/cache";
import { within } from "./retry";
import { boxes, headers } from "./studio";

export type Preset = { id: string; name: string; description: string };
export type Presets = { avatar: Preset[]; hero: Preset[] };

const ANSWER_MS = 8_000;

const cached = unstable_cache(ask, ["presets"], { revalidate: 600 });

/** null where no studio tells them: pictures are then made with each studio's own first look. */
export async function presetsOf(kind: keyof Presets): Promise<Preset[] | null> {
  try {
    return (await cached())[kind];
  } catch {
    return null;
  }
}

async function ask(): Promise<Presets> {
  let failure: unknown;
  for (const { url } of boxes()) {
    try {
      return await within(ANSWER_MS, presetsAt(url), () => new Error("The studio does not tell its presets."));
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

async function presetsAt(url: string): Promise<Presets> {
  const client = await Client.connect(url, { headers: headers() });
  try {
    const { data } = await client.predict<[Presets]>("/presets", {});
    const short = (list: Preset[]) => list.map(({ id, name, description }) => ({ id, name, description }));
    return { avatar: short(data[0].avatar), hero: short(data[0].hero) };
  } finally {
    client.close();
  }
}
