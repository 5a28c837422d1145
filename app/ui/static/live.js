// The Record button of the Transcribe tab: the microphone over /v1/vosk, words as they are spoken.
//
// Sound is kept from the first moment, also before the connection stands, and sent in tenths of a second; at the end the
// last piece goes out before the farewell. So nothing that was said is lost, however slow the network is.
(() => {
  const WORKLET = `registerProcessor("microphone", class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.piece = new Int16Array(Math.round(sampleRate / 10));
      this.filled = 0;
      this.peak = 0;
      this.port.onmessage = () => { this.post(); this.port.postMessage(null); };
    }
    process([[channel]]) {
      for (const value of channel ?? []) {
        const bounded = Math.max(-1, Math.min(1, value));
        this.peak = Math.max(this.peak, Math.abs(bounded));
        this.piece[this.filled++] = Math.round(bounded * 32767);
        if (this.filled === this.piece.length) this.post();
      }
      return true;
    }
    post() {
      this.port.postMessage({ sound: this.piece.slice(0, this.filled), peak: this.peak });
      this.filled = 0;
      this.peak = 0;
    }
  });`;

  const PROBLEMS = {
    NotAllowedError: "The browser may not use the microphone. Allow it beside the address at the top, then press Record again.",
    NotFoundError: "No microphone was found. Connect one, then press Record again; or upload a file.",
    NotReadableError: "The microphone is in use by another program, or switched off. Close that program, then press Record again.",
  };
  const REFUSED = "The studio did not answer. As many people may be recording as it can hear at once, or your log-in has ended: try again in a moment, or reload the page.";
  const SILENT_PIECES = 40; // of a tenth of a second
  const SILENCE = 0.003; // of 1; a muted microphone gives 0

  const find = (name) => document.getElementById(`live-${name}`);
  let session = null; // The one that is being recorded or finished.

  const show = ({ state, label, note, problem = false }) => {
    const button = find("record");
    if (!button) return;
    button.dataset.state = state;
    button.disabled = state === "finishing";
    button.setAttribute("aria-pressed", String(state === "recording"));
    find("label").textContent = label;
    const line = find("note");
    line.textContent = note ?? "";
    line.classList.toggle("problem", problem);
  };
  const idle = (note = "", problem = false) => show({ state: "idle", label: "Record", note, problem });

  const showWords = (settled, partial) => {
    if (!find("words")) return;
    find("settled").textContent = settled;
    find("partial").textContent = partial && settled ? ` ${partial}` : partial;
    find("words").scrollTop = find("words").scrollHeight;
  };

  class Session {
    settled = [];
    waiting = [];
    silent = 0;
    problem = "";
    stopped = false;

    async start() {
      show({ state: "starting", label: "Starting…" });
      showWords("", "");
      try {
        if (!navigator.mediaDevices) throw new DOMException("", "InsecureContext");
        this.stream = await navigator.mediaDevices.getUserMedia({
          audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
        });
        await this.listen();
      } catch (error) {
        this.release();
        session = null;
        idle(PROBLEMS[error.name] ?? `The microphone could not be opened (${error.name}).`, true);
        return;
      }
      // Stopped while the browser asked its user.
      if (this.stopped) return void this.finish();
      this.began = Date.now();
      this.clock = setInterval(() => this.tick(), 500);
      this.tick();
      this.stream.getAudioTracks()[0].onended = () => this.stop("The microphone was disconnected.");
    }

    async listen() {
      this.context = new AudioContext();
      const script = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }));
      try {
        await this.context.audioWorklet.addModule(script);
      } finally {
        URL.revokeObjectURL(script);
      }
      this.node = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
      this.node.port.onmessage = ({ data }) => (data ? this.hear(data) : this.farewell());
      this.context.createMediaStreamSource(this.stream).connect(this.node);
      await this.context.resume();
      this.connect();
    }

    connect() {
      const address = new URL("v1/vosk", document.baseURI);
      address.protocol = address.protocol.replace("http", "ws");
      address.searchParams.set("sample_rate", this.context.sampleRate);
      this.socket = new WebSocket(address);
      this.socket.onopen = () => {
        this.opened = true;
        for (const message of this.waiting.splice(0)) this.socket.send(message);
      };
      this.socket.onmessage = ({ data }) => this.answer(JSON.parse(data));
      this.socket.onclose = ({ code, reason }) => this.closed(code, reason);
    }

    send(message) {
      if (this.opened) this.socket.send(message);
      else this.waiting.push(message);
    }

    hear({ sound, peak }) {
      if (sound.length) this.send(sound.buffer);
      this.silent = peak < SILENCE ? this.silent + 1 : 0;
      find("level")?.style.setProperty("--level", Math.min(1, Math.sqrt(peak)).toFixed(2));
    }

    answer(told) {
      if (told.error) this.problem = told.error.message;
      if (told.text) this.settled.push(told.text);
      if (told.job_id) this.job = told.job_id;
      showWords(this.settled.join(" "), told.partial ?? "");
    }

    tick() {
      const seconds = Math.floor((Date.now() - this.began) / 1000);
      const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      const note = this.silent > SILENT_PIECES ? "Nothing is heard. Is the microphone muted, or another one chosen?" : "";
      show({ state: "recording", label: `Stop · ${time}`, note });
    }

    stop(problem = "") {
      if (this.stopped) return;
      this.stopped = true;
      this.problem = problem;
      if (this.began) this.finish();
    }

    finish() {
      clearInterval(this.clock);
      show({ state: "finishing", label: "Finishing…" });
      // Answered with the last piece of sound, and then with nothing.
      this.node.port.postMessage("end");
    }

    farewell() {
      this.send('{"eof": 1}');
      this.release();
    }

    closed(code, reason) {
      clearInterval(this.clock);
      this.release();
      session = null;
      const early = this.opened ? reason || "The connection was lost. What was said before is kept." : REFUSED;
      const problem = this.problem || (code === 1000 ? "" : early);
      idle(problem, Boolean(problem));
      if (this.job && this.settled.length) hand(this.job);
      else if (code === 1000 && !problem) idle("No words were heard.");
    }

    release() {
      find("level")?.style.setProperty("--level", "0");
      for (const track of this.stream?.getTracks() ?? []) track.stop();
      if (this.context && this.context.state !== "closed") this.context.close();
    }
  }

  // The finished job goes to the page's server side, which shows it like any other transcript.
  const hand = (job) => {
    window.endedLiveJob = job; // For the button's event, which takes it from here.
    document.getElementById("live-ended").click();
  };

  document.addEventListener("click", ({ target }) => {
    if (!target.closest?.("#live-record")) return;
    if (session) return session.stop();
    session = new Session();
    session.start();
  });
})();
