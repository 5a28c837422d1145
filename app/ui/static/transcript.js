// <carrot-transcript job="ID">: a transcript to listen to, search, correct and save.
//
// It reads /jobs/{id}/transcript itself, so that the words of three hours do not pass through Gradio. All paragraphs are
// in the page as text; only those near the window are made of words, each an element of its own.
(() => {
  const UNSURE = 0.6; // Confidence below which a word is underlined.
  const NEAR = "600px 0px"; // How far from the window paragraphs are made of words.
  const LIT_AFTER = 0.2; // Seconds that a word stays lit after its end.
  const BACK = 5; // Seconds.
  const SAME_TIME = 0.002; // Seconds; words' times come in thousandths.
  const SPEEDS = [0.75, 1, 1.25, 1.5, 2];
  const FORMATS = ["txt", "srt", "vtt", "tsv", "json"];
  const ICONS = {
    play: "M8 5v14l11-7z",
    pause: "M7 5h4v14H7zM13 5h4v14h-4z",
    back: "M12 5V1L7 6l5 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z",
    up: "M7 14l5-5 5 5z",
    down: "M7 10l5 5 5-5z",
  };

  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null) element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  };

  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  };

  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const tail = `${String(minutes).padStart(hours ? 2 : 1, "0")}:${String(rest).padStart(2, "0")}`;
    return hours ? `${hours}:${tail}` : tail;
  };

  // The number of the last item that is not above the value; -1 where there is none. The items grow.
  const lastUpTo = (items, value) => {
    let [low, high] = [0, items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (items[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };

  class Transcript extends HTMLElement {
    static observedAttributes = ["job"];

    attributeChangedCallback(_, before, job) {
      if (this.isConnected && before !== job) this.open(job);
    }

    connectedCallback() {
      const job = this.getAttribute("job");
      if (job && job !== this.job) this.open(job);
    }

    disconnectedCallback() {
      this.save({ leaving: true });
      this.close();
      this.job = null;
    }

    close() {
      cancelAnimationFrame(this.frame);
      this.near?.disconnect();
      this.audio?.pause();
      window.removeEventListener("beforeunload", this.warn);
    }

    async open(job) {
      this.save({ leaving: true });
      this.close();
      this.job = job;
      this.original = false;
      this.dirty = false;
      mark(job);
      // Without a job it shows nothing, as while another is heard.
      if (job) await this.load();
      else this.replaceChildren();
    }

    get path() {
      return `jobs/${encodeURIComponent(this.job)}/transcript`;
    }

    async load() {
      const { job } = this;
      this.setAttribute("aria-busy", "true");
      const [data, problem] = await ask(this.path + (this.original ? "?original=true" : ""));
      if (job !== this.job || !this.isConnected) return;
      this.removeAttribute("aria-busy");
      if (problem) this.replaceChildren(make("p", { class: "t-problem", role: "alert" }, problem));
      else this.show(data);
    }

    show(data) {
      this.close();
      this.data = data;
      this.editing = this.dirty = false;
      this.classList.remove("editing");
      this.follow = true;
      this.current = -1;
      this.hits = [];
      this.hit = -1;
      const words = data.paragraphs.flatMap((paragraph) => paragraph.words);
      this.starts = Float64Array.from(words, (word) => word[1]);
      this.ends = Float64Array.from(words, (word) => word[2]);
      this.words = words;
      this.corrected = this.corrections(words);
      document.dispatchEvent(new Event("carrot-transcript"));
      this.firsts = [];
      let count = 0;
      for (const paragraph of data.paragraphs) {
        this.firsts.push(count);
        count += paragraph.words.length;
      }
      this.build();
    }

    // Number of a word -> what was heard in its place. Of a person's version only what is still written so.
    corrections(words) {
      const heard = new Map();
      for (const made of this.data.corrections) {
        const last = lastUpTo(this.ends, made.end + SAME_TIME);
        const first = lastUpTo(this.starts, made.start - SAME_TIME) + 1;
        const now = words.slice(first, last + 1).map((word) => word[0]);
        if (now.join(" ") !== made.written) continue;
        for (let word = first; word <= last; word += 1) heard.set(word, made.heard);
      }
      return heard;
    }

    // -- what is on the screen

    build() {
      const { data } = this;
      const at = this.audio ? [this.audio.currentTime, this.audio.dataset.job] : [0, ""];
      this.status = make("p", { class: "t-status", role: "status" });
      let engine = data.where === "local" ? data.engine : say("cloud", { engine: data.engine });
      if (data.demo) engine = say("demo", { engine });
      const about = [clock(data.duration), data.language, engine].join(" · ");
      const head = make("div", { class: "t-head" }, make("h2", {}, data.filename || say("recording")), make("p", {}, about));
      if (data.note) head.append(make("p", {}, say.finished(data.note)));
      if (!this.words.length) {
        this.replaceChildren(head, make("p", { class: "t-none" }, say("no_speech")));
        return;
      }
      this.text = make("div", {
        class: "t-text",
        role: "region",
        tabindex: "0",
        "aria-label": say("transcript"),
        onclick: (event) => this.click(event),
        onkeydown: (event) => this.key(event),
        onwheel: () => this.look(),
        ontouchmove: () => this.look(),
        oninput: (event) => this.changed(event),
      });
      this.near = new IntersectionObserver((seen) => seen.forEach((one) => this.come(one)), {
        root: this.text,
        rootMargin: NEAR,
      });
      data.paragraphs.forEach((paragraph, number) => this.text.append(this.paragraph(paragraph, number)));
      const unsure = this.words.filter((word, number) => word[3] < UNSURE && !this.corrected.has(number)).length;
      const legend = make("p", { class: "t-legend" });
      if (unsure) {
        legend.append(make("span", { class: "low" }, say("underlined")), say("colon") + say("unsure", { n: unsure }));
      }
      if (this.corrected.size) {
        if (unsure) legend.append(" · ");
        legend.append(make("span", { class: "corrected" }, say("corrected")), say("colon") + say("corrected_how"));
      }
      this.replaceChildren(
        head,
        this.player(at),
        this.tools(),
        this.status,
        this.text,
        make("div", { class: "t-foot" }, legend, this.downloads()),
      );
    }

    paragraph(paragraph, number) {
      const time = clock(paragraph.start);
      const start = make("button", { class: "t-time", type: "button", tabindex: "-1", title: say("play_from", { time }) }, time);
      const text = make("p", {}, paragraph.words.map((word) => word[0]).join(" "));
      const row = make("div", { class: "t-paragraph" }, start, text);
      const before = this.data.paragraphs[number - 1]?.speaker;
      // Before the time, because a paragraph's text is its last child.
      if (paragraph.speaker && paragraph.speaker !== before) {
        row.prepend(make("span", { class: "t-speaker" }, say("speaker", { name: paragraph.speaker })));
      }
      row.number = number;
      this.near.observe(row);
      return row;
    }

    player([time, job]) {
      const { data } = this;
      if (!data.audio_file_id) {
        this.audio = null;
        return make("p", { class: "t-none" }, say("not_kept"));
      }
      const audio = make("audio", { preload: "metadata", src: `files/${data.audio_file_id}` });
      audio.dataset.job = this.job;
      const told = make("span", { class: "t-clock" });
      const slider = make("input", { type: "range", min: "0", step: "0.1", value: "0", "aria-label": say("position") });
      const play = make("button", { class: "t-play", type: "button", "aria-label": say("play") }, icon("play"));
      const back = make(
        "button",
        { class: "t-icon", type: "button", "aria-label": say("back", { n: BACK }), title: say("back", { n: BACK }) },
        icon("back"),
      );
      const speed = make("select", { "aria-label": say("speed") });
      for (const value of SPEEDS) speed.append(make("option", { value }, `${value}×`));
      speed.value = "1";
      const long = () => (Number.isFinite(audio.duration) ? audio.duration : data.duration);
      const draw = () => {
        this.light();
        // Four times a second: a slider and a clock that changed with each frame would keep the browser busy.
        if (Math.abs(audio.currentTime - slider.value) >= 0.25) tell();
        if (!audio.paused) this.frame = requestAnimationFrame(draw);
      };
      const tell = () => {
        const now = audio.currentTime;
        told.textContent = `${clock(now)} / ${clock(long())}`;
        slider.max = long();
        slider.value = now;
        slider.style.setProperty("--done", `${(100 * now) / (long() || 1)}%`);
        slider.setAttribute("aria-valuetext", say("time_of", { time: clock(now), total: clock(long()) }));
        this.light();
      };
      const state = () => {
        play.replaceChildren(icon(audio.paused ? "play" : "pause"));
        play.setAttribute("aria-label", say(audio.paused ? "play" : "pause"));
        cancelAnimationFrame(this.frame);
        tell();
        draw();
        this.arrange();
      };
      for (const event of ["play", "pause", "ended"]) audio.addEventListener(event, state);
      for (const event of ["seeked", "loadedmetadata"]) audio.addEventListener(event, tell);
      audio.addEventListener("error", () => {
        bar.classList.add("broken");
        told.textContent = say("unplayable");
      });
      play.addEventListener("click", () => (audio.paused ? this.play() : audio.pause()));
      back.addEventListener("click", () => this.seek(Math.max(audio.currentTime - BACK, 0)));
      slider.addEventListener("input", () => this.seek(Number(slider.value)));
      speed.addEventListener("change", () => (audio.playbackRate = Number(speed.value)));
      this.audio = audio;
      const bar = make("div", { class: "t-player", role: "group", "aria-label": say("player") });
      bar.append(play, back, slider, told, speed, audio);
      if (job === this.job && time) audio.currentTime = time;
      tell();
      return bar;
    }

    tools() {
      this.find = make("input", { type: "search", placeholder: say("find"), "aria-label": say("find_in") });
      this.find.addEventListener("input", () => this.search());
      this.find.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        event.preventDefault();
        this.step(event.shiftKey ? -1 : 1);
      });
      this.count = make("span", { class: "t-count", role: "status" });
      const step = (by, name, label) =>
        make("button", { class: "t-icon", type: "button", "aria-label": label, onclick: () => this.step(by) }, icon(name));
      this.finder = make(
        "div",
        { class: "t-find" },
        this.find,
        this.count,
        step(-1, "up", say("previous")),
        step(1, "down", say("next")),
      );
      const { data } = this;
      const button = (label, action, kind = "") =>
        make("button", { class: `t-button ${kind}`, type: "button", onclick: action }, label);
      this.buttons = {
        edit: button(say("edit"), () => this.edit()),
        save: button(say("save"), () => this.save(), "primary"),
        cancel: button(say("cancel"), () => this.show(data)),
        copy: button(say("copy"), () => this.copy()),
        version: button(say(this.original ? "show_mine" : "show_original"), () => this.other()),
        forget: button(say("discard"), () => this.forget()),
        here: button(say("follow"), () => this.again()),
      };
      this.own = data.edited || this.original;
      const row = make("div", { class: "t-tools" }, this.finder, ...Object.values(this.buttons));
      this.arrange();
      return row;
    }

    arrange() {
      const { edit, save, cancel, copy, version, forget, here } = this.buttons;
      edit.hidden = this.editing || this.original;
      save.hidden = cancel.hidden = !this.editing;
      copy.hidden = this.finder.hidden = this.editing;
      version.hidden = this.editing || !this.own;
      forget.hidden = this.editing || !this.original;
      here.hidden = this.editing || this.follow || !this.audio || this.audio.paused;
    }

    downloads() {
      const row = make("div", { class: "t-downloads", role: "group", "aria-label": say("download") });
      for (const format of FORMATS) {
        const address = `jobs/${encodeURIComponent(this.job)}/captions/${format}${this.original ? "?original=true" : ""}`;
        row.append(make("a", { class: "t-button", href: address, download: "" }, format.toUpperCase()));
      }
      return row;
    }

    // -- paragraphs near the window are made of words

    come({ target, isIntersecting }) {
      if (this.editing) return;
      if (isIntersecting) this.open_words(target);
      else if (target.open && !target.contains(document.activeElement)) this.close_words(target);
    }

    open_words(row) {
      if (row.open) return;
      row.open = true;
      const first = this.firsts[row.number];
      const spans = [];
      this.data.paragraphs[row.number].words.forEach(([word, start, , confidence], number) => {
        const heard = this.corrected.get(first + number);
        const kind = heard === undefined ? (confidence < UNSURE ? "w low" : "w") : "w corrected";
        const span = make("span", { class: kind }, word);
        const sure = say("sure", { n: Math.round(100 * confidence) });
        span.title = `${clock(start)} · ${heard === undefined ? sure : say("heard_as", { words: heard })}`;
        span.number = first + number;
        spans.push(span, " ");
      });
      row.lastChild.replaceChildren(...spans.slice(0, -1));
      this.paint(row);
    }

    close_words(row) {
      row.open = false;
      row.lastChild.textContent = this.data.paragraphs[row.number].words.map((word) => word[0]).join(" ");
    }

    row_of(word) {
      return this.text.children[lastUpTo(this.firsts, word)];
    }

    span_of(word) {
      const row = this.row_of(word);
      this.open_words(row);
      return row.lastChild.children[word - this.firsts[row.number]];
    }

    // What is found and what is heard, in the words of a paragraph that is open.
    paint(row) {
      const first = this.firsts[row.number];
      const spans = row.lastChild.children;
      for (const span of spans) span.classList.remove("hit", "now", "lit");
      this.hits.forEach(([from, to], number) => {
        for (let word = Math.max(from, first); word <= Math.min(to, first + spans.length - 1); word += 1) {
          spans[word - first].classList.add("hit");
          if (number === this.hit) spans[word - first].classList.add("now");
        }
      });
      const lit = spans[this.current - first];
      if (lit) lit.classList.add("lit");
    }

    repaint() {
      for (const row of this.text.children) if (row.open) this.paint(row);
    }

    // -- listening

    play() {
      this.audio.play().catch(() => {}); // Told by the element's own error event.
    }

    seek(time) {
      this.follow = true;
      this.arrange();
      this.audio.currentTime = time;
    }

    light() {
      const now = this.audio.currentTime + 0.001;
      let word = lastUpTo(this.starts, now);
      if (word >= 0 && now > this.ends[word] + LIT_AFTER) word = -1;
      if (word === this.current || this.editing) return;
      if (this.current >= 0) {
        const row = this.row_of(this.current);
        if (row.open) row.lastChild.children[this.current - this.firsts[row.number]].classList.remove("lit");
      }
      this.current = word;
      if (word < 0) return;
      const span = this.span_of(word);
      span.classList.add("lit");
      if (this.follow && !this.audio.paused) this.reveal(span);
    }

    // Scrolls the transcript, and not the page.
    reveal(span, { middle = false } = {}) {
      const [box, at] = [this.text.getBoundingClientRect(), span.getBoundingClientRect()];
      if (!middle && at.top >= box.top + 8 && at.bottom <= box.bottom - 48) return;
      const top = this.text.scrollTop + at.top - box.top - box.height / 3;
      const calm = matchMedia("(prefers-reduced-motion: reduce)").matches || Math.abs(top - this.text.scrollTop) > 2000;
      this.text.scrollTo({ top, behavior: calm ? "auto" : "smooth" });
    }

    // A person scrolls: the text stays where they look.
    look() {
      if (!this.audio || this.audio.paused || !this.follow) return;
      this.follow = false;
      this.arrange();
    }

    again() {
      this.follow = true;
      this.arrange();
      if (this.current >= 0) this.reveal(this.span_of(this.current), { middle: true });
    }

    click(event) {
      if (this.editing) return;
      const row = event.target.closest(".t-paragraph");
      if (event.target.closest(".t-time")) this.from(this.firsts[row.number]);
      // Who selects text to copy it does not want to hear it.
      else if (event.target.closest(".w") && getSelection().isCollapsed) this.from(event.target.closest(".w").number);
    }

    from(word) {
      if (!this.audio) return;
      this.seek(this.starts[word]);
      this.play();
    }

    key(event) {
      if (this.editing) {
        this.key_in_edit(event);
        return;
      }
      const at = event.target.number ?? Math.max(this.current, 0);
      const inside = event.target.number !== undefined;
      const paragraph = lastUpTo(this.firsts, at);
      const to = {
        ArrowRight: inside ? at + 1 : at,
        ArrowLeft: at - 1,
        ArrowDown: this.firsts[paragraph + 1],
        ArrowUp: this.firsts[paragraph] < at ? this.firsts[paragraph] : this.firsts[paragraph - 1],
      }[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Enter" || (event.key === " " && inside)) {
        event.preventDefault();
        this.from(at);
      } else if (to !== undefined && to >= 0 && to < this.words.length && (inside || event.key === "ArrowRight")) {
        event.preventDefault();
        const span = this.span_of(to);
        span.tabIndex = -1;
        span.focus({ preventScroll: true });
        this.reveal(span);
      }
    }

    // -- finding

    search() {
      const wanted = this.find.value.trim().toLowerCase().split(/\s+/).join(" ");
      this.hits = [];
      if (wanted)
        this.data.paragraphs.forEach((paragraph, number) => {
          // Where each word begins in the paragraph's text.
          const begins = [];
          let text = "";
          for (const [word] of paragraph.words) {
            begins.push(text.length);
            text += `${word.toLowerCase()} `;
          }
          for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
            const first = this.firsts[number];
            this.hits.push([first + lastUpTo(begins, at), first + lastUpTo(begins, at + wanted.length - 1)]);
          }
        });
      this.hit = -1;
      if (this.hits.length) this.step(1);
      else this.repaint();
      this.tell_count();
    }

    step(by) {
      if (!this.hits.length) return;
      const many = this.hits.length;
      this.hit = this.hit < 0 ? 0 : (this.hit + by + many) % many;
      const span = this.span_of(this.hits[this.hit][0]);
      this.repaint();
      this.follow = false;
      this.reveal(span, { middle: true });
      this.arrange();
      this.tell_count();
    }

    tell_count() {
      const total = this.hits.length;
      const wanted = total || this.find.value.trim();
      this.count.textContent = wanted ? say("match_of", { n: this.hit + 1, total }) : "";
    }

    // -- correcting

    edit() {
      this.editing = true;
      for (const row of this.text.children) {
        this.close_words(row);
        row.lastChild.setAttribute("contenteditable", "plaintext-only");
        row.lastChild.setAttribute("aria-label", say("paragraph", { time: clock(this.data.paragraphs[row.number].start) }));
        row.lastChild.setAttribute("role", "textbox");
        row.lastChild.setAttribute("aria-multiline", "true");
      }
      this.text.removeAttribute("tabindex");
      this.classList.add("editing");
      this.tell(say("how_to_edit"));
      this.arrange();
      const [top] = [...this.text.children].filter(
        (row) => row.offsetTop + row.offsetHeight > this.text.scrollTop + this.text.offsetTop,
      );
      top?.lastChild.focus({ preventScroll: true });
    }

    changed() {
      if (this.dirty) return;
      this.dirty = true;
      this.warn = (event) => event.preventDefault();
      window.addEventListener("beforeunload", this.warn);
    }

    key_in_edit(event) {
      const selected = getSelection();
      const field = event.target.closest("[contenteditable]");
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
      else if (event.key === "Backspace" && field && selected.isCollapsed && this.before_caret(field) === "") {
        const row = field.parentElement;
        const above = row.previousElementSibling?.lastChild;
        if (!above) return;
        event.preventDefault();
        const length = above.textContent.length;
        above.textContent = `${above.textContent.trimEnd()} ${field.textContent.trimStart()}`;
        row.remove();
        above.focus();
        selected.collapse(above.firstChild, Math.min(length + 1, above.textContent.length));
        this.changed();
      }
    }

    before_caret(field) {
      const range = getSelection().getRangeAt(0).cloneRange();
      range.selectNodeContents(field);
      range.setEnd(getSelection().anchorNode, getSelection().anchorOffset);
      return range.toString();
    }

    // `leaving`: something else is about to be shown in its place; what was written is not lost for that.
    async save({ leaving = false } = {}) {
      if (!this.editing || (leaving && !this.dirty)) return;
      const { job } = this;
      const text = [...this.text.children].map((row) => row.lastChild.textContent).join("\n");
      const body = JSON.stringify({ text, revision: this.data.revision });
      const { filename } = this.data;
      this.buttons.save.disabled = true;
      const headers = { "Content-Type": "application/json" };
      const [data, problem] = await ask(this.path, { method: "PUT", headers, body });
      this.buttons.save.disabled = false;
      if (leaving && problem) alert(say("not_saved", { file: filename, problem }));
      if (leaving || job !== this.job) return;
      if (problem) {
        this.tell(problem, "problem");
        return;
      }
      this.replace(data, say("saved"));
    }

    async other() {
      this.original = !this.original;
      await this.load();
      this.buttons.version.focus();
    }

    async forget() {
      if (!confirm(say("discard_sure"))) return;
      const [data, problem] = await ask(this.path, { method: "DELETE" });
      if (problem) this.tell(problem, "problem");
      else this.replace(data, say("original_again"));
    }

    replace(data, words) {
      const { scrollTop } = this.text;
      this.original = false;
      this.show(data);
      this.text.scrollTop = scrollTop;
      this.tell(words);
      this.buttons.edit.focus({ preventScroll: true });
    }

    tell(words, kind = "") {
      this.status.textContent = words;
      this.status.className = `t-status ${kind}`;
    }

    async copy() {
      const text = this.data.paragraphs.map((part) => part.words.map((word) => word[0]).join(" ")).join("\n\n");
      this.tell((await window.putOnClipboard(text)) ? say("copied") : say("no_clipboard"));
    }
  }

  const ask = async (path, options) => {
    try {
      const response = await fetch(path, options);
      const body = await response.json();
      return response.ok ? [body, ""] : [null, say.finished(body.error.message)];
    } catch {
      return [null, say("unreachable")];
    }
  };

  window.askStudio = ask; // For the other elements of the page.

  // Lists of transcripts: a press shows that one.
  const mark = (job) => {
    for (const button of document.querySelectorAll("[data-transcript]")) {
      button.setAttribute("aria-current", String(button.dataset.transcript === job));
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-transcript]");
    const shown = document.querySelector("carrot-transcript");
    if (!button || !shown) return;
    shown.setAttribute("job", button.dataset.transcript);
    shown.scrollIntoView({ block: "nearest" });
  });

  customElements.define("carrot-transcript", Transcript);
})();
