"use client";
import Link from "next/link";
import { useState } from "react";
import { HeroPicture } from "@/components/hero-picture";
import { StylePicker } from "@/components/style-picker";
import type { Preset } from "@/lib/presets";

type Post = { postId: string; title: string; summary: string; preset: string };

export function PostMaker({ presets, kept }: { presets: Promise<Preset[] | null>; kept: boolean }) {
  const [form, setForm] = useState({ title: "", summary: "", preset: "" });
  const [post, setPost] = useState<Post | null>(null);
  const set = (change: Partial<typeof form>) => setForm((before) => ({ ...before, ...change }));
  return (
    <div className="beside">
      <form
        className="card form"
        onSubmit={(event) => {
          event.preventDefault();
          setPost({ postId: crypto.randomUUID(), ...form });
        }}
      >
        <label>
          Title
          <input value={form.title} onChange={(event) => set({ title: event.target.value })} required maxLength={120} placeholder="Snowy mountains at sunset" />
        </label>
        <label>
          Summary
          <textarea value={form.summary} onChange={(event) => set({ summary: event.target.value })} maxLength={240} />
        </label>
        <StylePicker presets={presets} chosen={form.preset} onChoose={(preset) => set({ preset })} />
        <button>Publish</button>
      </form>
      <div className="stage">
        {post ? <HeroPicture key={post.postId} {...post} /> : <p className="note">The picture appears here.</p>}
        {post &&
          (kept ? (
            <Link href={`/posts/${post.postId}`} className="button">
              Open the post
            </Link>
          ) : (
            <p className="note">The post is not kept: FIREBASE_PROJECT_ID is not set.</p>
          ))}
      </div>
    </div>
  );
}
