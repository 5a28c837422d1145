import type { Metadata } from "next";
import { notFound } from "next/navigation";
import { HeroPicture } from "@/components/hero-picture";
import { Transcript } from "@/components/transcript";
import { keepsPosts, type Post, postOf } from "@/lib/firestore";
import styles from "./page.module.css";
import { Refresh } from "./refresh";

export const metadata: Metadata = { title: "A post" };

export default async function PostPage({ params }: PageProps<"/posts/[id]">) {
  const { id } = await params;
  if (!keepsPosts()) return <p className="problem">Posts are not kept here: FIREBASE_PROJECT_ID is not set.</p>;
  const post = await postOf(id).catch(() => undefined);
  if (post === undefined) return <Refresh words="The database of posts cannot be reached. It is tried again by itself." />;
  if (post === null) notFound();
  return (
    <article className={styles.post}>
      {post.kind === "picture" && <Hero post={post} />}
      <h1>{post.title || "A voice post"}</h1>
      <time dateTime={post.createdAt} className="note">
        {new Date(post.createdAt).toLocaleDateString("en", { dateStyle: "long" })}
      </time>
      {post.summary && <p className={styles.summary}>{post.summary}</p>}
      {post.kind === "voice" && <Spoken post={post} />}
    </article>
  );
}

function Hero({ post: { id, title, summary, preset, hero } }: { post: Post }) {
  if (!hero) return <HeroPicture postId={id} title={title} summary={summary} preset={preset} />;
  return <img src={hero.src} alt={title} width={hero.width} height={hero.height} className={`card ${styles.hero}`} />;
}

function Spoken({ post: { status, segments, text, error } }: { post: Post }) {
  if (status === "failed") return <p className="problem">{error}</p>;
  if (status !== "completed") return <Refresh words="It is being heard…" />;
  if (segments.length) return <Transcript segments={segments} />;
  return <p className="note">{text || "Nobody speaks in this recording."}</p>;
}
