// Firestore's emulator on a port, made to hold to what the real one promises and it does not: the condition
// last_update_time, fields that a mask deletes, and the size of documents. Each write that it takes is a line of output.
import { FirestoreServer } from "@firestore-emulator/server";

const FAILED_PRECONDITION = 9;
const INVALID_ARGUMENT = 3;
const MAX_DOCUMENT = 1_048_576;

const server = new FirestoreServer();
const state = server.state;
const write = state.writeV1Document.bind(state);
const EmulatorError = errorClass();

function errorClass() {
  try {
    write(new Date(), {
      has_delete: true,
      delete: "projects/p/databases/d/documents/no/such",
      has_current_document: true,
      current_document: { has_exists: true, exists: true },
    });
  } catch (error) {
    return error.constructor;
  }
}

// Counted anew, by https://firebase.google.com/docs/firestore/storage-size, so as not to repeat a mistake of ours.
const text = (value) => Buffer.byteLength(value) + 1;
const map = (fields) => Object.entries(fields).reduce((sum, [name, value]) => sum + text(name) + size(value), 32);
function size(value) {
  if (value.string_value !== undefined) return text(value.string_value);
  if (value.map_value !== undefined) return map(value.map_value.fields ?? {});
  if (value.array_value !== undefined) return (value.array_value.values ?? []).reduce((sum, one) => sum + size(one), 0);
  return value.boolean_value !== undefined || value.null_value !== undefined ? 1 : 8;
}
const path = (name) => name.split("/documents/")[1];

state.writeV1Document = (date, asked) => {
  const name = asked.update.name;
  const before = state.getDocument(name);
  const condition = asked.has_current_document ? asked.current_document : null;
  if (condition?.has_update_time) {
    const now = before.metadata.updatedAt?.getTime();
    const wanted = condition.update_time.seconds * 1000 + condition.update_time.nanos / 1e6;
    if (now !== wanted) throw new EmulatorError(FAILED_PRECONDITION, "the document has been changed");
    // Times have milliseconds here: no two versions of a document may share one.
    if (date.getTime() <= now) date = new Date(now + 1);
  }
  const result = write(date, asked);
  const document = state.getDocument(name);
  const mask = asked.has_update_mask ? asked.update_mask.field_paths : [];
  const kept = ([field]) => !mask.includes(field) || asked.update.fields.has(field);
  document.fields = Object.fromEntries(Object.entries(document.fields).filter(kept));
  const fields = document.toV1DocumentObject().fields;
  const bytes = path(name).split("/").reduce((sum, part) => sum + text(part), 16) + map(fields);
  if (bytes > MAX_DOCUMENT) throw new EmulatorError(INVALID_ARGUMENT, `the document has ${bytes} bytes`);
  console.log(JSON.stringify({ path: path(name), bytes }));
  return result;
};

await server.start(Number(process.argv[2]));
console.log(JSON.stringify({ up: true }));
