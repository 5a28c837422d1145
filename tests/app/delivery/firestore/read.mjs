// Reads with firebase-admin, as the app does: `post ID`, or `transcript ID` by the function of docs/firestore.md.
import { initializeApp } from "firebase-admin/app";
import { getFirestore } from "firebase-admin/firestore";
import { transcriptOf } from "./transcript.mjs";

const [project, what, postId] = process.argv.slice(2);
initializeApp({ projectId: project });
const firestore = getFirestore();
const read = {
  post: async () => (await firestore.doc(`posts/${postId}`).get()).data(),
  transcript: () => transcriptOf(firestore, postId),
};
const plain = (_, value) => (value?._seconds === undefined ? value : value._seconds + value._nanoseconds / 1e9);
// Not before all of it is in the pipe.
process.stdout.write(JSON.stringify(await read[what](), plain), () => process.exit(0));
