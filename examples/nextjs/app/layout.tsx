import type { Metadata, Viewport } from "next";
import Link from "next/link";
import type { ReactNode } from "react";
import "./globals.css";
import styles from "./layout.module.css";

export const metadata: Metadata = { title: { default: "Carrot", template: "%s · Carrot" }, description: "Pictures and voices for your posts." };
export const viewport: Viewport = { themeColor: [{ media: "(prefers-color-scheme: dark)", color: "#14120f" }, { color: "#faf8f5" }] };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <header className={styles.header}>
          <Link href="/" className={styles.name}>
            Carrot
          </Link>
          <nav aria-label="Main">
            <Link href="/avatar">Avatar</Link>
            <Link href="/hero">Post</Link>
            <Link href="/voice">Voice</Link>
          </nav>
        </header>
        <main>{children}</main>
      </body>
    </html>
  );
}
