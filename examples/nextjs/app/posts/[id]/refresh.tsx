"use client";
import { useRouter } from "next/navigation";
import { useEffect } from "react";

/** Says why the page is not complete, and looks again every two seconds. */
export function Refresh({ words }: { words: string }) {
  const router = useRouter();
  useEffect(() => {
    const timer = setInterval(() => router.refresh(), 2_000);
    return () => clearInterval(timer);
  }, [router]);
  return (
    <p className="note" role="status">
      {words}
    </p>
  );
}
