// Live speech as JavaScript's clients speak it: vosk-server's protocol, and OpenAI's realtime client. Prints what came as
// one line of JSON. The sound is 16 bit PCM with one channel, of 16 kHz.
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { createServer } from "node:tls";
import OpenAI from "openai";
import { OpenAIRealtimeWS } from "openai/realtime/ws";
import { WebSocket } from "ws";

const [who, url, soundPath, token] = process.argv.slice(2);
const sound = readFileSync(soundPath);
const PIECE = 6400; // bytes: a fifth of a second
const pieces = Array.from({ length: Math.ceil(sound.length / PIECE) }, (_, at) => sound.subarray(at * PIECE, (at + 1) * PIECE));
const address = `${url.replace("http", "ws")}/v1/vosk`;

// As vosk-server's clients for servers: a piece, then its answer, and so on.
const waiting = () =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(address, { headers: { Authorization: `Bearer ${token}` } });
    const answers = [];
    socket.on("error", reject);
    socket.on("open", () => {
      socket.send(JSON.stringify({ config: { sample_rate: 16000, words: true } }));
      socket.send(pieces.shift());
    });
    socket.on("message", (data) => {
      answers.push(JSON.parse(data));
      if (pieces.length) socket.send(pieces.shift());
      else if (pieces.closing) return;
      else {
        pieces.closing = true;
        socket.send('{"eof" : 1}');
      }
    });
    socket.on("close", (code) => resolve({ code, answers }));
  });

// As vosk-server's page in a browser: with the browser's interface, sound whenever there is some, and a token where a
// page can put one.
const streaming = () =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket(`${address}?sample_rate=16000`, ["vosk", `bearer.${token}`]);
    const answers = [];
    socket.binaryType = "arraybuffer";
    socket.onerror = reject;
    socket.onopen = () => {
      for (const piece of pieces) socket.send(new Uint8Array(piece).buffer);
      socket.send('{"eof" : 1}');
    };
    socket.onmessage = ({ data }) => answers.push(JSON.parse(data));
    socket.onclose = ({ code }) => resolve({ code, answers, protocol: socket.protocol });
  });

// OpenAI's client speaks wss only, whatever its baseURL says: TLS is put in front, as a proxy would.
const behindTls = () =>
  new Promise((resolve) => {
    const server = createServer({ key: readFileSync("key.pem"), cert: readFileSync("cert.pem") }, (outer) => {
      const inner = connect(new URL(url).port, "127.0.0.1");
      outer.pipe(inner).pipe(outer);
    });
    server.listen(0, "127.0.0.1", () => resolve(`https://localhost:${server.address().port}/v1`));
  });

const realtime = async () => {
  const client = new OpenAI({ baseURL: await behindTls(), apiKey: token });
  const session = new OpenAIRealtimeWS({ model: "gpt-realtime", options: { ca: readFileSync("ca.pem") } }, client);
  return new Promise((resolve, reject) => {
    const told = { events: [], deltas: {}, completed: {} };
    session.on("error", reject);
    session.on("event", ({ type }) => told.events.push(type));
    session.socket.on("open", () => {
      const input = { format: { type: "audio/pcm", rate: 16000 }, turn_detection: null };
      session.send({ type: "session.update", session: { type: "transcription", audio: { input } } });
      for (const piece of pieces) session.send({ type: "input_audio_buffer.append", audio: piece.toString("base64") });
      session.send({ type: "input_audio_buffer.commit" });
    });
    session.on("conversation.item.input_audio_transcription.delta", ({ item_id, delta }) => {
      told.deltas[item_id] = (told.deltas[item_id] ?? "") + delta;
    });
    session.on("conversation.item.input_audio_transcription.completed", ({ item_id, transcript }) => {
      told.completed[item_id] = transcript;
      session.close();
    });
    session.socket.on("close", (code) => resolve({ code, ...told }));
  });
};

console.log(JSON.stringify(await { waiting, streaming, realtime }[who]()));
process.exit(0);
