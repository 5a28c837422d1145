"use client";
// A post's picture: made when this is shown, with the post's own key, so that showing it again never makes it twice.
import { useEffect } from "react";
import { GradientHero, PlaceholderMark } from "./placeholder";
import { Progress } from "./progress";
import styles from "./hero-picture.module.css";
import { useJob } from "./use-job";

type Props = { postId: string; title: string; summary: string; preset: string; onEnd?: () => void };

export function HeroPicture({ postId, title, summary, preset, onEnd }: Props) {
  const { state, start, retryNow, cancel } = useJob();

  useEffect(() => {
    const headers = { "Content-Type": "application/json" };
    const body = JSON.stringify({ kind: "hero", key: postId, title, summary, preset });
    start((signal) => fetch("/api/img", { method: "POST", headers, body, signal }));
  }, [postId, title, summary, preset, start]);

  useEffect(() => {
    if (state.phase === "ended") onEnd?.();
  }, [state.phase, onEnd]);

  const outcome = state.outcome;
  const picture = outcome?.state === "succeeded" ? outcome.pictures[0] : undefined;
  return (
    <div className="stage" aria-live="polite">
      <div className={`card ${styles.frame}`}>
        {picture ? (
          <img src={picture.src} alt={title} width={picture.width} height={picture.height} />
        ) : state.phase === "unreachable" ? (
          <GradientHero title={title} />
        ) : state.preview ? (
          <img src={state.preview} alt="Preview" />
        ) : null}
      </div>
      {state.phase === "unreachable" && <PlaceholderMark reason={state.reason} onRetry={retryNow} />}
      <Progress job={state} onCancel={cancel} />
      {outcome && outcome.state !== "succeeded" && <p className="problem">{outcome.message}</p>}
    </div>
  );
}
