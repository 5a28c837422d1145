import type { Metadata } from "next";
import { connection } from "next/server";
import { presetsOf } from "@/lib/presets";
import { AvatarMaker } from "./maker";

export const metadata: Metadata = { title: "Make an avatar" };

export default async function AvatarPage() {
  await connection();
  return (
    <>
      <h1>Make an avatar</h1>
      <p className="lead">Say who you are. You see it while it is painted; closing the page does not stop it.</p>
      <AvatarMaker presets={presetsOf("avatar")} />
    </>
  );
}
