import type { Metadata } from "next";
import { connection } from "next/server";
import { keepsPosts } from "@/lib/firestore";
import { Recorder } from "./recorder";

export const metadata: Metadata = { title: "Record your voice" };

export default async function VoicePage() {
  await connection();
  return (
    <>
      <h1>Record your voice</h1>
      <p className="lead">Speak, stop, and watch your words arrive. A recording is kept here until it has been heard.</p>
      <Recorder kept={keepsPosts()} />
    </>
  );
}
