"use client";
import { useEffect, useState } from "react";
import { InitialsAvatar, PlaceholderMark } from "@/components/placeholder";
import { Progress } from "@/components/progress";
import { StylePicker } from "@/components/style-picker";
import { useJob } from "@/components/use-job";
import type { Preset } from "@/lib/presets";
import styles from "./maker.module.css";

type Wish = { key: string; name: string; prompt: string; preset: string; count: number };

/** Kept until its pictures are there, so that a reload goes on with it instead of making it twice. */
const KEPT = "avatar-wish";

export function AvatarMaker({ presets }: { presets: Promise<Preset[] | null> }) {
  const { state, start, retryNow, cancel } = useJob();
  const [form, setForm] = useState({ name: "", prompt: "", preset: "", count: 1 });
  const set = (change: Partial<typeof form>) => setForm((before) => ({ ...before, ...change }));

  function make(wish: Wish) {
    localStorage.setItem(KEPT, JSON.stringify(wish));
    const { name: _, ...body } = wish;
    const headers = { "Content-Type": "application/json" };
    start((signal) => fetch("/api/img", { method: "POST", headers, body: JSON.stringify({ kind: "avatar", ...body }), signal }));
  }

  useEffect(() => {
    const kept = localStorage.getItem(KEPT);
    if (!kept) return;
    const { key, ...rest }: Wish = JSON.parse(kept);
    setForm(rest);
    make({ key, ...rest });
  }, []);

  useEffect(() => {
    if (state.phase === "ended") localStorage.removeItem(KEPT);
  }, [state.phase]);

  const working = state.phase !== "idle" && state.phase !== "ended";
  const outcome = state.outcome;
  const pictures = outcome?.state === "succeeded" ? outcome.pictures : [];
  return (
    <div className="beside">
      <form
        className="card form"
        onSubmit={(event) => {
          event.preventDefault();
          make({ key: crypto.randomUUID(), ...form });
        }}
      >
        <label>
          Your name
          <input value={form.name} onChange={(event) => set({ name: event.target.value })} maxLength={60} autoComplete="name" />
        </label>
        <label>
          What does it show?
          <textarea value={form.prompt} onChange={(event) => set({ prompt: event.target.value })} required maxLength={500} placeholder="A smiling woman with long red hair and glasses" />
        </label>
        <StylePicker presets={presets} chosen={form.preset} onChoose={(preset) => set({ preset })} />
        <label>
          How many?
          <input type="number" min={1} max={4} value={form.count} onChange={(event) => set({ count: Number(event.target.value) })} />
        </label>
        <button disabled={working}>Make it</button>
      </form>
      <div className="stage" aria-live="polite" data-job={state.jobId ?? ""}>
        <div className={`card ${styles.easel}`}>
          {pictures[0] ? (
            <img src={pictures[0].src} alt={form.prompt} width={pictures[0].width} height={pictures[0].height} />
          ) : state.phase === "unreachable" ? (
            <InitialsAvatar name={form.name || form.prompt} />
          ) : state.preview ? (
            <img src={state.preview} alt="Preview" className={styles.preview} />
          ) : (
            <p className="note">{working ? "The first strokes come in a moment." : "Your avatar appears here."}</p>
          )}
        </div>
        {state.phase === "unreachable" && <PlaceholderMark reason={state.reason} onRetry={retryNow} />}
        <Progress job={state} onCancel={cancel} />
        {pictures.length > 1 && (
          <ul className={styles.others}>
            {pictures.slice(1).map(({ src, width, height, seed }) => (
              <li key={seed}>
                <img src={src} alt={form.prompt} width={width} height={height} />
              </li>
            ))}
          </ul>
        )}
        {outcome && outcome.state !== "succeeded" && <p className="problem">{outcome.message}</p>}
        {outcome?.state === "succeeded" && outcome.notes.map((note) => <p key={note} className="note">{note}</p>)}
      </div>
    </div>
  );
}
