// <carrot-library words="JSON" presets="JSON">: everything that was made, to be found, opened, marked, packed and deleted.
//
// It reads /jobs itself, a page at a time, so thousands of results do not pass through Gradio. Every text that it shows
// is in `words`, which the studio gives; `presets` has their names by id.
(() => {
  const PAGE = 48; // Tiles at once: full rows of 2, 3, 4, 6 and 8.
  const TYPED = 250; // Milliseconds without a key before a search.
  const STAR = "M12 2.6l2.9 6 6.6.9-4.8 4.6 1.2 6.5-5.9-3.1-5.9 3.1 1.2-6.5L2.5 9.5l6.6-.9z";
  const CROSS = "M6 6l12 12M18 6L6 18";

  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  };

  const icon = (path) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "path");
    drawn.setAttribute("d", path);
    svg.append(drawn);
    return svg;
  };

  const clock = (seconds) => {
    const whole = Math.round(seconds);
    const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    if (!parts[0]) parts.shift();
    return parts.map((part, place) => String(part).padStart(place ? 2 : 1, "0")).join(":");
  };

  const day = (seconds) => new Date(seconds * 1000).toLocaleDateString(navigator.language, { dateStyle: "medium" });

  class Library extends HTMLElement {
    connectedCallback() {
      if (this.words) return;
      this.words = JSON.parse(this.getAttribute("words"));
      this.presets = JSON.parse(this.getAttribute("presets"));
      this.items = new Map(); // Job id -> job, in the order shown.
      this.selected = new Set();
      this.asked = 0;
      this.build();
      // What was made since is there whenever somebody comes to the tab.
      new IntersectionObserver((seen) => seen.at(-1).isIntersecting && this.load({ quiet: true })).observe(this);
    }

    say(name, values = {}) {
      return this.words[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
    }

    button(name, onclick, more = {}) {
      return make("button", { type: "button", class: "t-button", onclick, ...more }, this.say(name));
    }

    // -- what is on the screen

    build() {
      const { words } = this;
      this.search = make("input", { type: "search", placeholder: words.search, "aria-label": words.search, maxlength: 200 });
      this.search.addEventListener("input", () => {
        clearTimeout(this.typed);
        this.typed = setTimeout(() => this.load(), TYPED);
      });
      this.search.addEventListener("keydown", (event) => {
        if (event.key !== "Enter") return;
        clearTimeout(this.typed);
        this.load();
      });
      this.chips = words.kinds.map(([label, kinds], number) =>
        make("button", { type: "button", class: "l-chip", "aria-pressed": String(!number), onclick: () => this.choose(number) }, label, ),
      );
      this.chips.forEach((chip, number) => (chip.kinds = words.kinds[number][1]));
      this.starred = make(
        "button",
        { type: "button", class: "l-chip star", "aria-pressed": "false", onclick: () => this.choose_starred() },
        icon(STAR),
        words.favourites,
      );
      this.preset = this.choice(words.any_preset);
      this.model = this.choice(words.any_model);
      this.status = make("p", { class: "l-status", role: "status" });
      this.bar = make("div", { class: "l-bar", role: "group", "aria-label": words.selection, hidden: true });
      this.counted = make("span", { class: "l-counted" });
      this.compare = this.button("compare", () => this.open_compare());
      this.bar.append(
        this.counted,
        this.compare,
        this.button("zip", () => this.pack()),
        this.button("delete", () => this.remove([...this.selected]), { class: "t-button l-danger" }),
        this.button("clear", () => this.clear()),
      );
      this.grid = make("ul", { class: "l-grid", "aria-label": words.list, onkeydown: (event) => this.key(event) });
      this.empty = make("div", { class: "l-empty", hidden: true });
      this.more = this.button("more", () => this.load({ append: true }), { hidden: true });
      this.dialog = make("dialog", { class: "l-dialog", onclose: () => this.closed(), onclick: (event) => this.outside(event) });
      const chips = make("div", { class: "l-chips", role: "group", "aria-label": words.filters }, ...this.chips, this.starred);
      this.replaceChildren(
        make("div", { class: "l-tools" }, make("div", { class: "l-find" }, this.search), this.preset, this.model),
        chips,
        this.bar,
        this.status,
        this.grid,
        this.empty,
        make("div", { class: "l-more" }, this.more),
        this.dialog,
      );
    }

    choice(any) {
      const select = make("select", { "aria-label": any, onchange: () => this.load(), hidden: true });
      select.any = any;
      select.append(make("option", { value: "" }, any));
      return select;
    }

    choose(number) {
      this.chips.forEach((chip, other) => chip.setAttribute("aria-pressed", String(other === number)));
      this.load();
    }

    choose_starred() {
      this.starred.setAttribute("aria-pressed", String(!this.only_starred));
      this.load();
    }

    get only_starred() {
      return this.starred.getAttribute("aria-pressed") === "true";
    }

    get narrowed() {
      const [all] = this.chips;
      const chosen = all.getAttribute("aria-pressed") !== "true" || this.only_starred;
      return Boolean(this.search.value.trim() || this.preset.value || this.model.value || chosen);
    }

    // `append`: the page after what is shown. `quiet`: what is shown stays unless there is something else.
    async load({ append = false, quiet = false } = {}) {
      const asked = ++this.asked;
      const query = new URLSearchParams({ limit: PAGE });
      const chip = this.chips.find((one) => one.getAttribute("aria-pressed") === "true");
      for (const kind of chip.kinds) query.append("kind", kind);
      if (this.search.value.trim()) query.set("q", this.search.value.trim());
      if (this.preset.value) query.set("preset", this.preset.value);
      if (this.model.value) query.set("model", this.model.value);
      if (this.only_starred) query.set("favourite", "true");
      const last = [...this.items.keys()].at(-1);
      if (append && last) query.set("before", last);
      this.setAttribute("aria-busy", "true");
      const [found, problem] = await this.ask(`jobs?${query}`);
      if (asked !== this.asked) return;
      this.removeAttribute("aria-busy");
      if (problem) {
        this.tell(problem, true);
        return;
      }
      if (!append) this.offer(found);
      const shown = [...this.items.values()];
      if (quiet && shown.length && found.jobs.every((job, place) => same(job, shown[place]))) return;
      if (!append) {
        this.items.clear();
        this.grid.replaceChildren();
      }
      for (const job of found.jobs) {
        if (this.items.has(job.job_id)) continue;
        this.items.set(job.job_id, job);
        this.grid.append(this.tile(job));
      }
      this.more.hidden = !found.has_more;
      this.arrange();
      this.tell(this.items.size ? this.say(found.has_more ? "some" : "all", { n: this.items.size }) : "");
      if (append && found.jobs.length) this.focus_tile(found.jobs[0].job_id);
    }

    // What the account's list can be narrowed to, where there is a choice.
    offer({ presets, models }) {
      for (const [select, ids, names] of [[this.preset, presets, this.presets], [this.model, models, {}]]) {
        const { value } = select;
        const options = ids.map((id) => make("option", { value: id }, names[id] ?? id));
        select.replaceChildren(make("option", { value: "" }, select.any), ...options);
        select.value = ids.includes(value) ? value : "";
        select.hidden = ids.length < 2 && !select.value;
      }
    }

    arrange() {
      for (const id of this.selected) if (!this.items.has(id)) this.selected.delete(id);
      const chosen = [...this.selected].map((id) => this.items.get(id));
      this.bar.hidden = !chosen.length;
      this.counted.textContent = this.say("selected", { n: chosen.length });
      this.compare.disabled = !(chosen.length === 2 && chosen.every((job) => job.images));
      this.compare.title = this.compare.disabled ? this.words.compare_two : "";
      for (const tile of this.grid.children) {
        const picked = this.selected.has(tile.dataset.job);
        tile.classList.toggle("picked", picked);
        tile.querySelector("input").checked = picked;
      }
      this.empty.hidden = this.items.size > 0;
      if (this.items.size) return;
      const { words, narrowed } = this;
      const title = make("h2", {}, narrowed ? words.none_title : words.empty_title);
      const text = make("p", {}, narrowed ? words.none_text : words.empty_text);
      this.empty.replaceChildren(title, text, ...(narrowed ? [this.button("all_again", () => this.widen())] : []));
    }

    widen() {
      this.search.value = this.preset.value = this.model.value = "";
      this.starred.setAttribute("aria-pressed", "false");
      this.choose(0);
      this.search.focus();
    }

    name_of(job) {
      return (job.images ? job.words : job.filename || job.beginning) || this.words.untitled;
    }

    tile(job) {
      const { words } = this;
      const name = this.name_of(job);
      const face = job.images ? this.picture_face(job) : this.text_face(job);
      const open = make("button", { type: "button", class: "l-open", onclick: () => this.open(job.job_id) }, ...face);
      open.setAttribute("aria-label", `${this.say("open", { name })}, ${day(job.created_at)}`);
      const box = make("input", { type: "checkbox", "aria-label": this.say("select", { name }) });
      box.addEventListener("change", () => {
        if (box.checked) this.selected.add(job.job_id);
        else this.selected.delete(job.job_id);
        this.arrange();
      });
      const pick = make("label", { class: "l-pick", title: words.select_short }, box);
      return make("li", { class: "l-tile", "data-job": job.job_id }, open, pick, this.star(job));
    }

    picture_face(job) {
      const [first] = job.images;
      const src = `files/${first.file_id}?format=webp&w=320`;
      const many = job.images.length > 1 ? make("span", { class: "l-many" }, this.say("many", { n: job.images.length })) : null;
      return [make("img", { src, alt: "", loading: "lazy", decoding: "async" }), many, make("span", { class: "l-name" }, this.name_of(job))];
    }

    text_face(job) {
      const about = [clock(job.duration), job.language].join(" · ");
      return [
        make("span", { class: "l-file" }, job.filename || this.words.recording),
        make("span", { class: "l-words" }, job.beginning || this.words.no_speech),
        make("span", { class: "l-about" }, about),
      ];
    }

    star(job) {
      const button = make(
        "button",
        { type: "button", class: "l-star", "aria-pressed": String(job.favourite), title: this.words.favourite },
        icon(STAR),
      );
      button.setAttribute("aria-label", this.say("mark", { name: this.name_of(job) }));
      button.dataset.star = job.job_id;
      button.addEventListener("click", () => this.mark(job));
      return button;
    }

    // -- keys: arrows go from tile to tile

    key(event) {
      const tile = event.target.closest(".l-tile");
      if (!tile || event.target !== tile.firstChild) return;
      const tiles = [...this.grid.children];
      const columns = tiles.filter((one) => one.offsetTop === tiles[0].offsetTop).length;
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
      const place = tiles.indexOf(tile);
      const target = { Home: 0, End: tiles.length - 1 }[event.key] ?? place + steps[event.key];
      if (!tiles[target]) return;
      event.preventDefault();
      tiles[target].firstChild.focus();
    }

    tile_of(id) {
      return this.grid.querySelector(`[data-job="${CSS.escape(id)}"]`);
    }

    focus_tile(id) {
      this.tile_of(id)?.firstChild.focus();
    }

    // -- what can be done

    async mark(job) {
      const method = job.favourite ? "DELETE" : "PUT";
      const [answer, problem] = await this.ask(`jobs/${job.job_id}/favourite`, { method });
      if (problem) {
        this.tell(problem, true);
        return;
      }
      job.favourite = answer.favourite;
      for (const button of this.querySelectorAll(`[data-star="${CSS.escape(job.job_id)}"]`)) {
        button.setAttribute("aria-pressed", String(job.favourite));
      }
    }

    clear() {
      this.selected.clear();
      this.arrange();
      this.search.focus();
    }

    async remove(ids) {
      const [only] = ids;
      const sure = ids.length === 1 ? this.say("sure_one", { name: this.name_of(this.items.get(only)) }) : this.say("sure", { n: ids.length });
      if (!confirm(sure)) return;
      const after = this.tile_of(ids.at(-1))?.nextSibling?.dataset.job;
      let gone = 0;
      let told = "";
      for (const id of ids) {
        const [, problem] = await this.ask(`jobs/${id}?forget=true`, { method: "DELETE" });
        if (problem) {
          told = problem;
          continue;
        }
        gone += 1;
        this.tile_of(id)?.remove();
        this.items.delete(id);
      }
      if (gone && this.dialog.open) this.dialog.close();
      this.arrange();
      const text = [gone ? this.say(gone === 1 ? "deleted_one" : "deleted", { n: gone }) : "", told].filter(Boolean).join(" ");
      if (!this.items.size || (!this.more.hidden && this.items.size < PAGE / 2)) await this.load({ append: this.items.size > 0 });
      this.tell(text, Boolean(told));
      if (after && this.items.has(after)) this.focus_tile(after);
      else this.search.focus();
    }

    async pack() {
      this.tell(this.words.packing);
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ ids: [...this.selected] });
      try {
        const response = await fetch("jobs/zip", { method: "POST", headers, body });
        if (!response.ok) throw new Error(say.finished((await response.json()).error.message));
        const href = URL.createObjectURL(await response.blob());
        make("a", { href, download: this.words.zip_name }).click();
        setTimeout(() => URL.revokeObjectURL(href), 60_000);
        this.tell(this.words.packed);
      } catch (error) {
        // What fetch itself throws is no sentence for a person.
        this.tell(error.constructor === Error ? error.message : this.words.unreachable, true);
      }
    }

    // The studio fills the right tab's form: window.carrotLibraryChoice is what its event reads.
    use(job, number) {
      window.carrotLibraryChoice = `${job.job_id}:${number}`;
      this.dialog.close();
      document.querySelector("#library-use").click();
    }

    // -- one of them, large

    async open(id) {
      const job = this.items.get(id);
      this.opened = id;
      const head = this.dialog_head(this.name_of(job), this.star(job));
      const body = make("div", { class: "l-body", "aria-busy": "true" });
      this.dialog.replaceChildren(head, body);
      this.show_dialog(this.name_of(job));
      if (job.images) {
        const [whole, problem] = await this.ask(`jobs/${id}`);
        if (this.opened !== id) return;
        body.removeAttribute("aria-busy");
        if (problem) body.append(make("p", { class: "t-problem", role: "alert" }, problem));
        else this.show_pictures(body, job, whole);
      } else {
        body.removeAttribute("aria-busy");
        body.append(make("carrot-transcript", { job: id }), this.actions(job, this.button("again", () => this.use(job, 0))));
      }
    }

    show_pictures(body, job, whole) {
      const { images } = whole.result;
      const large = make("img", { class: "l-large" });
      const recipe = make("dl", { class: "l-recipe" });
      const save = make("a", { class: "t-button", download: true }, this.words.download);
      let number = 0;
      const show = (chosen) => {
        number = chosen;
        const image = images[number];
        large.src = `files/${image.file_id}`;
        large.alt = job.words;
        large.width = image.width;
        large.height = image.height;
        save.href = `files/${image.file_id}?disposition=attachment`;
        recipe.replaceChildren(...this.recipe(image.recipe));
        for (const [other, thumb] of [...thumbs.children].entries()) thumb.setAttribute("aria-pressed", String(other === number));
      };
      const thumbs = make("div", { class: "l-thumbs", hidden: images.length < 2 });
      images.forEach((image, place) => {
        const label = this.say("picture", { n: place + 1 });
        const small = make("img", { src: `files/${image.file_id}?format=webp&w=160`, alt: "" });
        thumbs.append(make("button", { type: "button", "aria-label": label, onclick: () => show(place) }, small));
      });
      show(0);
      const again = this.button("use", () => this.use(job, number), { class: "t-button primary" });
      const beside = make("div", { class: "l-beside" }, this.actions(job, again, save), recipe);
      body.append(make("div", { class: "l-view" }, large, thumbs), beside);
      body.classList.add("pictures");
    }

    actions(job, ...buttons) {
      const remove = this.button("delete", () => this.remove([job.job_id]), { class: "t-button l-danger" });
      return make("div", { class: "l-actions" }, ...buttons, remove);
    }

    *recipe(recipe) {
      for (const [name, label] of Object.entries(this.words.recipe)) {
        const value = name === "size" ? `${recipe.width} × ${recipe.height}` : recipe[name];
        if (value === null || value === undefined || value === "") continue;
        yield make("dt", {}, label);
        yield make("dd", {}, name === "preset" ? (this.presets[value] ?? value) : String(value));
      }
    }

    open_compare() {
      const [one, other] = [...this.selected].map((id) => this.items.get(id));
      this.opened = null;
      const [a, b] = [one, other].map((job) => job.images[0]);
      const pictures = [a, b].map((image, place) =>
        make("img", { src: `files/${image.file_id}`, alt: this.name_of(place ? other : one), width: image.width, height: image.height }),
      );
      const slider = make("input", { type: "range", min: 0, max: 100, step: 1, value: 50, "aria-label": this.words.divide });
      const stage = make("div", { class: "l-stage" }, ...pictures, make("i", { "aria-hidden": "true" }), slider);
      stage.style.setProperty("--shape", `${a.width} / ${a.height}`);
      const move = () => stage.style.setProperty("--at", `${slider.value}%`);
      slider.addEventListener("input", move);
      move();
      const names = make("div", { class: "l-names" }, make("span", {}, this.name_of(one)), make("span", {}, this.name_of(other)));
      this.dialog.replaceChildren(this.dialog_head(this.words.compare_title), make("div", { class: "l-body" }, stage, names));
      this.show_dialog(this.words.compare_title);
      slider.focus();
    }

    dialog_head(title, ...more) {
      const close = make("button", { type: "button", class: "l-close", onclick: () => this.dialog.close() }, icon(CROSS));
      close.setAttribute("aria-label", this.words.close);
      return make("header", { class: "l-head" }, make("h2", {}, title), ...more, close);
    }

    show_dialog(label) {
      this.dialog.setAttribute("aria-label", label);
      if (!this.dialog.open) this.dialog.showModal();
      this.dialog.scrollTop = 0;
    }

    // A press beside it closes it, as Escape does.
    outside(event) {
      if (event.target === this.dialog) this.dialog.close();
    }

    closed() {
      const { opened } = this;
      this.opened = null;
      const transcript = this.dialog.querySelector("carrot-transcript");
      // A transcript that was corrected saves itself when it goes, and may be found by other words then.
      this.dialog.replaceChildren();
      if (transcript) setTimeout(() => this.load({ quiet: true }), 500);
      if (opened) this.focus_tile(opened);
    }

    // -- asking the studio

    async ask(path, options) {
      try {
        const response = await fetch(path, options);
        const body = await response.json();
        return response.ok ? [body, ""] : [null, say.finished(body.error.message)];
      } catch {
        return [null, this.words.unreachable];
      }
    }

    tell(text, problem = false) {
      this.status.textContent = text;
      this.status.classList.toggle("problem", problem);
    }
  }

  const same = (job, other) => JSON.stringify(job) === JSON.stringify(other);

  customElements.define("carrot-library", Library);
})();
