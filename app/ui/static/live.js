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
    NotAllowedError: "mic_forbidden",
    NotFoundError: "mic_missing",
    NotReadableError: "mic_busy",
  };
  const SILENT_PIECES = 40; // of a tenth of a second
  const SILENCE = 0.003; // of 1; a muted microphone gives 0

  const find = (name) => document.getElementById(`live-${name}`);
  let session = null; // The one that is being recorded or finished.

  const socketTo = (path) => {
    const address = new URL(path, document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    return new WebSocket(address);
  };
  // As the worklet gives it.
  const measured = (bytes) => {
    const sound = new Int16Array(bytes);
    return { sound, peak: sound.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0) / 32767 };
  };

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
  const idle = (note = "", problem = false) => show({ state: "idle", label: say("record"), note, problem });

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
    warnings = ""; // What of it was not used, told at the end.
    stopped = false;

    async start() {
      show({ state: "starting", label: say("starting") });
      showWords("", "");
      const number = find("microphone")?.value;
      if (number) return this.listenAtStudio(number);
      try {
        if (!navigator.mediaDevices) throw new DOMException("", "InsecureContext");
        this.stream = await navigator.mediaDevices.getUserMedia({
          audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
        });
        await this.listen();
      } catch (error) {
        this.release();
        session = null;
        idle(say(PROBLEMS[error.name] ?? "mic_other", { name: error.name }), true);
        return;
      }
      if (this.begin()) this.stream.getAudioTracks()[0].onended = () => this.stop(say("mic_gone"));
    }

    // A microphone of the studio's machine: its sound comes over a socket of its own.
    listenAtStudio(number) {
      this.remote = socketTo(`v1/microphones/${number}`);
      this.remote.binaryType = "arraybuffer";
      this.remote.onmessage = ({ data }) => {
        if (typeof data !== "string") return this.hear(measured(data));
        const told = JSON.parse(data);
        if (told.error) this.problem = say.finished(told.error.message);
        if (!told.sample_rate) return;
        this.connect(told.sample_rate);
        this.begin();
      };
      this.remote.onclose = () => {
        if (this.began) {
          if (!this.stopped) this.stop(this.problem || say("mic_gone"));
          return this.farewell();
        }
        session = null;
        idle(this.problem || say("live_refused"), true);
      };
    }

    // Whether it goes on: it may have been stopped while the browser asked its user.
    begin() {
      this.began = Date.now();
      if (this.stopped) return void this.finish();
      this.clock = setInterval(() => this.tick(), 500);
      this.tick();
      return true;
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
      this.connect(this.context.sampleRate);
    }

    connect(rate) {
      this.socket = socketTo(`v1/vosk?sample_rate=${rate}`);
      this.socket.onopen = () => {
        this.opened = true;
        const phrases = document.querySelector("#transcribe-vocabulary textarea")?.value ?? "";
        const list = phrases.split("\n").filter((line) => line.trim());
        if (list.length) this.socket.send(JSON.stringify({ config: { phrase_list: list } }));
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
      if (told.error) this.problem = say.finished(told.error.message);
      if (told.text) this.settled.push(told.text);
      if (told.job_id) this.job = told.job_id;
      if (told.warnings) this.warnings = told.warnings.map((warning) => say.finished(warning.message)).join(" ");
      showWords(this.settled.join(" "), told.partial ?? "");
    }

    tick() {
      const seconds = Math.floor((Date.now() - this.began) / 1000);
      const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
      const note = this.silent > SILENT_PIECES ? say("live_silent") : "";
      show({ state: "recording", label: say("stop", { time }), note });
    }

    stop(problem = "") {
      if (this.stopped) return;
      this.stopped = true;
      this.problem = problem;
      if (this.began) this.finish();
    }

    finish() {
      clearInterval(this.clock);
      show({ state: "finishing", label: say("finishing") });
      // Answered with the last piece of sound, and then with nothing; the studio closes.
      if (!this.remote) this.node.port.postMessage("end");
      else if (this.remote.readyState === WebSocket.OPEN) this.remote.send("end");
    }

    farewell() {
      this.send('{"eof": 1}');
      this.release();
    }

    closed(code, reason) {
      clearInterval(this.clock);
      this.release();
      session = null;
      const early = this.opened ? say.finished(reason) || say("live_lost") : say("live_refused");
      const problem = this.problem || this.warnings || (code === 1000 ? "" : early);
      idle(problem, Boolean(problem));
      if (this.job && this.settled.length) hand(this.job);
      else if (code === 1000 && !problem) idle(say("live_nothing"));
    }

    release() {
      find("level")?.style.setProperty("--level", "0");
      if (this.remote) {
        this.remote.onclose = null;
        this.remote.close();
      }
      for (const track of this.stream?.getTracks() ?? []) track.stop();
      if (this.context && this.context.state !== "closed") this.context.close();
    }
  }

  // The finished job goes to the page's server side, which shows it like any other transcript.
  const hand = (job) => {
    window.endedLiveJob = job; // For the button's event, which takes it from here.
    document.getElementById("live-ended").click();
  };

  // The choice is there once the page is, where the studio offers its own microphones.
  window.studio.watch(() => {
    const choice = find("microphone");
    if (choice) {
      offer(choice);
      // What is plugged into the machine that studio and person share.
      navigator.mediaDevices?.addEventListener("devicechange", () => offer(choice));
    }
    return Boolean(choice ?? find("record"));
  });
  const nameOf = (choice) => choice.selectedIndex > 0 && choice.selectedOptions[0].text;
  const offer = async (choice) => {
    const answer = await fetch("v1/microphones");
    const { microphones } = answer.ok ? await answer.json() : { microphones: [] };
    const options = microphones.map(({ number, name }) => new Option(name, number, false, name === nameOf(choice)));
    choice.replaceChildren(choice.options[0], ...options); // The first is the browser's own.
    find("source").hidden = !microphones.length;
  };

  document.addEventListener("click", ({ target }) => {
    if (!target.closest?.("#live-record")) return;
    if (session) return session.stop();
    session = new Session();
    session.start();
  });
})();
