import type { Metadata } from "next";
import { connection } from "next/server";
import { keepsPosts } from "@/lib/firestore";
import { presetsOf } from "@/lib/presets";
import { PostMaker } from "./maker";

export const metadata: Metadata = { title: "Write a post" };

export default async function HeroPage() {
  await connection();
  return (
    <>
      <h1>Write a post</h1>
      <p className="lead">Its picture is made of its title and summary.</p>
      <PostMaker presets={presetsOf("hero")} kept={keepsPosts()} />
    </>
  );
}
