"use client";
// The looks that the studio offers, once it has told them.
import { useRouter } from "next/navigation";
import { Suspense, use, useEffect } from "react";
import type { Preset } from "@/lib/presets";

type Props = { presets: Promise<Preset[] | null>; chosen: string; onChoose: (id: string) => void };

const ASK_AGAIN_MS = 10_000;

export function StylePicker(props: Props) {
  return (
    <label>
      Look
      <Suspense fallback={<select disabled />}>
        <Choices {...props} />
      </Suspense>
    </label>
  );
}

function Choices({ presets, chosen, onChoose }: Props) {
  const known = use(presets);
  const router = useRouter();
  useEffect(() => {
    if (known) return;
    const timer = setTimeout(() => router.refresh(), ASK_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [known, presets, router]);
  return (
    <>
      <select value={chosen} onChange={(event) => onChoose(event.target.value)} disabled={!known}>
        <option value="">The studio&rsquo;s own choice</option>
        {known?.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
      <small>{known ? (known.find(({ id }) => id === chosen)?.description ?? " ") : "The looks cannot be listed: the image service does not answer."}</small>
    </>
  );
}
