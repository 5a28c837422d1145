// What was said, with the time at which each piece begins.
import type { Spoken } from "@/lib/told";
import styles from "./transcript.module.css";

export function Transcript({ segments }: { segments: Spoken[] }) {
  return (
    <ol className={`card ${styles.transcript}`}>
      {segments.map(({ text, start }) => (
        <li key={start}>
          <time>{clock(start)}</time>
          <span>{text}</span>
        </li>
      ))}
    </ol>
  );
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
