// <carrot-corrections>: an account's list of corrections, to read, to add to and to take from. app/ui/corrections.py has
// its markup and all of its words.
(() => {
  const same = (one, other, match_case) => (match_case ? one === other : one.toLowerCase() === other.toLowerCase());

  class Corrections extends HTMLElement {
    connectedCallback() {
      this.form = this.querySelector("form");
      this.form.onsubmit = (event) => {
        event.preventDefault();
        this.add();
      };
      this.count = () => this.querySelectorAll("tbody tr").forEach((row) => this.counted(row));
      document.addEventListener("carrot-transcript", this.count);
      this.load();
    }

    disconnectedCallback() {
      document.removeEventListener("carrot-transcript", this.count);
    }

    async load() {
      const [told, problem] = await window.askStudio("corrections");
      if (problem) this.tell(problem);
      else this.show(told.corrections);
    }

    async add() {
      const { heard, written, match_case } = this.form.elements;
      const wanted = { heard: heard.value, written: written.value, match_case: match_case.checked };
      const others = (list) => list.filter((item) => !same(item.heard, wanted.heard.trim(), wanted.match_case));
      // At once, for who goes on to write the next one.
      this.form.reset();
      heard.focus();
      if ((await this.change((list) => [...others(list), wanted])) || heard.value || written.value) return;
      [heard.value, written.value, match_case.checked] = [wanted.heard, wanted.written, wanted.match_case];
    }

    // One after another, each on the list that the one before has left.
    change(made) {
      this.latest = (this.latest ?? Promise.resolve()).then(() => this.put(made));
      return this.latest;
    }

    // The list as it is now, and not as it was when the page was opened: another window may have added to it.
    async put(made) {
      let [told, problem] = await window.askStudio("corrections");
      if (!problem) {
        const body = JSON.stringify({ corrections: made(told.corrections) });
        const headers = { "Content-Type": "application/json" };
        [told, problem] = await window.askStudio("corrections", { method: "PUT", headers, body });
      }
      this.tell(problem);
      if (!problem) this.show(told.corrections);
      return !problem;
    }

    show(list) {
      this.querySelector("table").hidden = !list.length;
      this.querySelector(".c-none").hidden = list.length > 0;
      this.querySelector("tbody").replaceChildren(...list.map((item) => this.row(item)));
    }

    row(item) {
      const row = this.querySelector("template").content.firstElementChild.cloneNode(true);
      row.item = item;
      row.querySelector(".c-heard span").textContent = item.heard;
      row.querySelector(".c-exact").hidden = !item.match_case;
      row.querySelector(".c-written").textContent = item.written;
      const is = (other) => ["heard", "written", "match_case"].every((name) => other[name] === item[name]);
      row.querySelector("button").onclick = () => this.change((list) => list.filter((other) => !is(other)));
      this.counted(row);
      return row;
    }

    // How often it was made in the transcript that is shown.
    counted(row) {
      const made = document.querySelector("carrot-transcript")?.data?.corrections ?? [];
      const { heard, written, match_case } = row.item;
      const times = made.filter((one) => one.written === written && same(one.heard, heard, match_case)).length;
      row.querySelector(".c-count").textContent = times ? `${times} ×` : "–";
    }

    tell(problem) {
      this.querySelector(".c-status").textContent = problem;
    }
  }

  customElements.define("carrot-corrections", Corrections);
})();
