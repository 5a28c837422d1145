import Link from "next/link";
import { connection } from "next/server";
import { Suspense } from "react";
import { keepsPosts, recentAvatars, recentPosts } from "@/lib/firestore";
import styles from "./page.module.css";

export default function Home() {
  return (
    <>
      <h1>What do you want to share?</h1>
      <p className="lead">A face for your profile, a picture for your post, or simply your voice.</p>
      <div className={styles.doors}>
        <Door href="/avatar" name="Make an avatar" text="Describe yourself and watch it being painted." />
        <Door href="/hero" name="Write a post" text="A title and a summary become its picture." />
        <Door href="/voice" name="Record your voice" text="Speak, and read it as text." />
      </div>
      <Suspense fallback={<p className="note">Looking for what is new…</p>}>
        <Recent />
      </Suspense>
    </>
  );
}

function Door({ href, name, text }: { href: string; name: string; text: string }) {
  return (
    <Link href={href} className={`card ${styles.door}`}>
      <strong>{name}</strong>
      <span>{text}</span>
    </Link>
  );
}

async function Recent() {
  await connection();
  if (!keepsPosts()) return <p className="note">Nothing is kept here: FIREBASE_PROJECT_ID is not set.</p>;
  const found = await Promise.all([recentAvatars(8), recentPosts(6)]).catch(() => null);
  if (!found) return <p className="problem">The database of posts cannot be reached. Reload in a moment.</p>;
  const [avatars, posts] = found;
  return (
    <>
      {avatars.length > 0 && (
        <section aria-labelledby="avatars">
          <h2 id="avatars">New faces</h2>
          <ul className={styles.avatars}>
            {avatars.map(({ id, src, prompt }) => (
              <li key={id}>
                <img src={src} alt={prompt} width={72} height={72} loading="lazy" />
              </li>
            ))}
          </ul>
        </section>
      )}
      {posts.length > 0 && (
        <section aria-labelledby="posts">
          <h2 id="posts">New posts</h2>
          <ul className={styles.posts}>
            {posts.map(({ id, title, summary, text, hero, kind }) => (
              <li key={id}>
                <Link href={`/posts/${id}`} className={`card ${styles.post}`}>
                  {hero && <img src={hero.src} alt="" width={hero.width} height={hero.height} loading="lazy" />}
                  <strong>{title || (kind === "voice" ? "A voice post" : "A post")}</strong>
                  <span>{summary || text}</span>
                </Link>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}
