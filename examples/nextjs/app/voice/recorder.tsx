"use client";
import Link from "next/link";
import { useEffect, useRef, useState } from "react";
import { Progress } from "@/components/progress";
import { Transcript } from "@/components/transcript";
import { useJob } from "@/components/use-job";
import { wordsFor } from "@/lib/job-state";
import styles from "./recorder.module.css";

type Recording = { key: string; file: File; url: string };

export function Recorder({ kept }: { kept: boolean }) {
  const { state, start, retryNow, cancel } = useJob();
  const [title, setTitle] = useState("");
  const [recorder, setRecorder] = useState<MediaRecorder | null>(null);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [problem, setProblem] = useState("");

  async function record() {
    setProblem("");
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
      const started = new MediaRecorder(stream);
      const pieces: Blob[] = [];
      started.ondataavailable = ({ data }) => pieces.push(data);
      started.onstop = () => {
        for (const track of stream.getTracks()) track.stop();
        setRecorder(null);
        const type = started.mimeType || "audio/webm";
        send(new File(pieces, `voice.${type.includes("mp4") ? "m4a" : "webm"}`, { type }));
      };
      started.start();
      setRecorder(started);
    } catch {
      // Without https, browsers have no microphone for a page of another machine.
      setProblem(navigator.mediaDevices ? "The microphone cannot be used: allow it in your browser." : "Recording needs https.");
    }
  }

  function send(file: File) {
    const made = { key: crypto.randomUUID(), file, url: URL.createObjectURL(file) };
    setRecording(made);
    start((signal) => {
      const form = new FormData();
      form.set("key", made.key);
      form.set("title", title);
      form.set("audio", made.file);
      return fetch("/api/transcribe", { method: "POST", body: form, signal });
    });
  }

  useEffect(() => () => URL.revokeObjectURL(recording?.url ?? ""), [recording]);

  const outcome = state.outcome;
  const heard = outcome?.state === "succeeded" ? outcome.segments : state.segments;
  const working = state.phase !== "idle" && state.phase !== "ended";
  return (
    <div className="beside">
      <div className="card form">
        <label>
          Title
          <input value={title} onChange={(event) => setTitle(event.target.value)} maxLength={120} placeholder="A voice post" />
        </label>
        {recorder ? (
          <button type="button" className={styles.stop} onClick={() => recorder.stop()}>
            <span aria-hidden className={styles.dot} /> Stop <Elapsed />
          </button>
        ) : (
          <button type="button" disabled={working} onClick={() => void record()}>
            Record
          </button>
        )}
        <label>
          Or choose a file
          <input
            type="file"
            accept="audio/*,video/*"
            disabled={working || recorder !== null}
            onChange={({ target }) => {
              const file = target.files?.[0];
              if (file) send(file);
            }}
          />
        </label>
        {problem && <p className="problem">{problem}</p>}
        {recording && <audio controls src={recording.url} className={styles.player} />}
      </div>
      <div className="stage" aria-live="polite">
        {state.phase === "unreachable" && (
          <p className="problem" role="status">
            Not sent yet: {wordsFor(state.reason, "speech service")} Your recording is kept on this page and sent again by itself.{" "}
            <button type="button" className="quiet" onClick={retryNow}>
              Try now
            </button>
          </p>
        )}
        <Progress job={state} onCancel={cancel} />
        {heard.length > 0 ? (
          <Transcript segments={heard} />
        ) : (
          <p className="note">{outcome?.state === "succeeded" ? "Nobody speaks in this recording." : "Your words appear here."}</p>
        )}
        {outcome && outcome.state !== "succeeded" && <p className="problem">{outcome.message}</p>}
        {outcome?.state === "succeeded" && outcome.notes.map((note) => <p key={note} className="note">{note}</p>)}
        {outcome?.state === "succeeded" && recording && kept && (
          <Link href={`/posts/${recording.key}`} className="button">
            Open the post
          </Link>
        )}
      </div>
    </div>
  );
}

function Elapsed() {
  const began = useRef(Date.now());
  const [now, setNow] = useState(began.current);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.floor((now - began.current) / 1000);
  return <time>{`${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`}</time>;
}
