// Posts and avatars. The studio writes the results of jobs with a post_id itself (docs/firestore.md); this app writes
// what people typed, and reads both.
import "server-only";
import { getApps, initializeApp } from "firebase-admin/app";
import { type DocumentReference, FieldValue, type Firestore, getFirestore, Timestamp } from "firebase-admin/firestore";
import { Unreachable } from "./errors";
import { within } from "./retry";
import { fileAt, type Picture, type Spoken } from "./told";

export type Post = {
  id: string;
  kind: "picture" | "voice";
  title: string;
  summary: string;
  preset: string;
  createdAt: string;
  hero: Picture | null;
  /** pending, processing, completed or failed; empty where nothing was said. */
  status: string;
  text: string;
  segments: Spoken[];
  error: string;
};
export type Avatar = { id: string; src: string; prompt: string };

/** Google's client would try for minutes; a page has seconds. */
const ANSWER_MS = 5_000;

export const keepsPosts = () => Boolean(process.env.FIREBASE_PROJECT_ID);

/** Where FIREBASE_PROJECT_ID is not set there is none, and nothing is kept. FIRESTORE_EMULATOR_HOST is read by Google's client. */
function database(): Firestore | null {
  const projectId = process.env.FIREBASE_PROJECT_ID;
  if (!projectId) return null;
  return getFirestore(getApps()[0] ?? initializeApp({ projectId }));
}

/** Raises Unreachable, whatever Firestore's own error was: a visitor can only come back. */
async function soon<T>(work: Promise<T>): Promise<T> {
  const away = () => new Unreachable("database_unreachable", "The database of posts cannot be reached.");
  return within(ANSWER_MS, work, away).catch((error: unknown) => {
    console.error("Firestore:", error instanceof Error ? error.message : "unknown error");
    throw away();
  });
}

/** Before its work is sent, so that a post is there whatever becomes of that. Twice is the same as once. */
export async function keepPost(id: string, post: Pick<Post, "kind" | "title" | "summary" | "preset">): Promise<void> {
  const firestore = database();
  if (!firestore) return;
  const reference = firestore.doc(`posts/${id}`);
  await soon(
    firestore.runTransaction(async (transaction) => {
      const found = await transaction.get(reference);
      if (found.get("createdAt")) return;
      transaction.set(reference, { ...post, createdAt: FieldValue.serverTimestamp() }, { merge: true });
    }),
  );
}

export async function postOf(id: string): Promise<Post | null> {
  const firestore = database();
  if (!firestore) return null;
  const reference = firestore.doc(`posts/${id}`);
  return soon(
    (async () => {
      const [found, images] = await Promise.all([reference.get(), reference.collection("images").get()]);
      if (!found.exists) return null;
      const jobId: string | undefined = found.get("transcriptionJobId");
      const completed = found.get("transcriptionStatus") === "completed";
      const transcript = completed && jobId ? await transcriptOf(reference, jobId) : { text: "", segments: [] };
      return {
        ...shortly(id, found.data() ?? {}),
        hero: heroIn(images.docs.map((image) => image.data())),
        text: transcript.text || (found.get("transcription") ?? ""),
        segments: transcript.segments,
      };
    })(),
  );
}

/** The newest ones, without their transcripts. */
export async function recentPosts(count: number): Promise<Post[]> {
  const firestore = database();
  if (!firestore) return [];
  const found = await soon(firestore.collection("posts").orderBy("createdAt", "desc").limit(count).get());
  return Promise.all(
    found.docs.map(async (post) => {
      const images = await soon(post.ref.collection("images").get());
      return { ...shortly(post.id, post.data()), hero: heroIn(images.docs.map((image) => image.data())) };
    }),
  );
}

/** Once, however often the webhook comes: the document is named after the job. */
export async function keepAvatar(jobId: string, avatar: Omit<Avatar, "id" | "src"> & { fileId: string }): Promise<void> {
  const reference = database()?.doc(`avatars/${jobId}`);
  if (reference) await soon(reference.set({ ...avatar, createdAt: FieldValue.serverTimestamp() }));
}

export async function recentAvatars(count: number): Promise<Avatar[]> {
  const firestore = database();
  if (!firestore) return [];
  const found = await soon(firestore.collection("avatars").orderBy("createdAt", "desc").limit(count).get());
  return found.docs.map((avatar) => ({ id: avatar.id, src: fileAt(avatar.get("fileId"), 256), prompt: avatar.get("prompt") ?? "" }));
}

function shortly(id: string, data: FirebaseFirestore.DocumentData): Post {
  const createdAt = data.createdAt instanceof Timestamp ? data.createdAt.toDate() : new Date(0);
  return {
    id,
    kind: data.kind === "voice" ? "voice" : "picture",
    title: data.title ?? "",
    summary: data.summary ?? "",
    preset: data.preset ?? "",
    createdAt: createdAt.toISOString(),
    hero: null,
    status: data.transcriptionStatus ?? "",
    text: data.transcription ?? "",
    segments: [],
    error: data.transcriptionError?.message ?? "",
  };
}

function heroIn(images: FirebaseFirestore.DocumentData[]): Picture | null {
  const image = images[0];
  if (!image) return null;
  return { src: fileAt(image.fileId, image.width), width: image.width, height: image.height, seed: image.seed };
}

/** All of it, whatever its length: hours of speech are in parts below the transcript. */
async function transcriptOf(post: DocumentReference, jobId: string): Promise<{ text: string; segments: Spoken[] }> {
  const found = await post.collection("transcripts").doc(jobId).get();
  const names = Array.from({ length: found.get("parts") ?? 0 }, (_, number) => String(number).padStart(5, "0"));
  const parts = await Promise.all(names.map((name) => found.ref.collection("parts").doc(name).get()));
  const all = names.length ? parts : [found];
  const segments: Spoken[] = all.flatMap((one) => one.get("segments") ?? []);
  return {
    text: all.map((one) => one.get("text") ?? "").join(""),
    segments: segments.map(({ text, start, end }) => ({ text, start, end })),
  };
}
