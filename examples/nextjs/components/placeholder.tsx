"use client";
// What stands in for a picture while the image service is away. It always says that it does.
import { type Reason, wordsFor } from "@/lib/job-state";
import styles from "./placeholder.module.css";

/** The same words have the same colours. */
function hueOf(words: string): number {
  let hash = 0;
  for (const letter of words) hash = (hash * 31 + letter.codePointAt(0)!) % 360;
  return hash;
}

export function InitialsAvatar({ name }: { name: string }) {
  const hue = hueOf(name);
  const words = name.trim().split(/\s+/).filter(Boolean);
  const initials = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase();
  return (
    <svg viewBox="0 0 100 100" role="img" aria-label={`Placeholder with the initials ${initials || "?"}`} className={styles.picture}>
      <rect width="100" height="100" fill={`hsl(${hue} 45% 42%)`} />
      <text x="50" y="52" textAnchor="middle" dominantBaseline="middle" fontSize="40" fontWeight="600" fill="#fff">
        {initials || "?"}
      </text>
    </svg>
  );
}

export function GradientHero({ title }: { title: string }) {
  const hue = hueOf(title);
  const id = `gradient-${hue}`;
  return (
    <svg viewBox="0 0 1344 768" role="img" aria-label="Placeholder with a gradient" className={styles.picture} preserveAspectRatio="xMidYMid slice">
      <defs>
        <linearGradient id={id} x1="0" y1="0" x2="1" y2="1">
          <stop offset="0" stopColor={`hsl(${hue} 55% 48%)`} />
          <stop offset="1" stopColor={`hsl(${(hue + 70) % 360} 50% 30%)`} />
        </linearGradient>
      </defs>
      <rect width="1344" height="768" fill={`url(#${id})`} />
    </svg>
  );
}

export function PlaceholderMark({ reason, onRetry }: { reason: Reason; onRetry: () => void }) {
  return (
    <p className={styles.mark} role="status" data-placeholder>
      <span>
        <strong>Placeholder: {wordsFor(reason, "image service")}</strong> It is tried again by itself.
      </span>
      <button type="button" className="quiet" onClick={onRetry}>
        Try now
      </button>
    </p>
  );
}
