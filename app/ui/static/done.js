// Tells a person who is looking at something else that a job has ended: by the page's title, and, if they want it, by a
// notification of the browser.
(() => {
  const KEY = "carrot-studio-tell";
  const LONG_MS = 10_000; // A shorter job's end is no news.
  const SETTLED_MS = 1000; // Of several files each ends; the next one begins at once.
  const began = new Map(); // A tab's status -> when its job was first seen.
  let title = null; // The page's own, while another is shown.

  class Tell extends HTMLElement {
    connectedCallback() {
      this.addEventListener("click", this.press);
      this.show();
    }

    disconnectedCallback() {
      this.removeEventListener("click", this.press);
    }

    get on() {
      return localStorage.getItem(KEY) === "on" && window.Notification?.permission === "granted";
    }

    async press({ target }) {
      if (!target.closest("button")) return;
      let note = "";
      if (this.on) {
        localStorage.removeItem(KEY);
      } else if (!window.Notification) {
        note = this.dataset.impossible;
      } else if ((await Notification.requestPermission()) === "granted") {
        localStorage.setItem(KEY, "on");
        note = this.dataset.on;
      } else {
        note = this.dataset.refused;
      }
      this.show(note);
    }

    show(note = "") {
      const button = this.querySelector("button");
      button.setAttribute("aria-checked", String(this.on));
      this.querySelector("[role=status]").textContent = note;
      clearTimeout(this.clearing);
      if (note) this.clearing = setTimeout(() => this.show(), 6000);
    }

    ended(well, took) {
      if (!document.hidden) return;
      title ??= document.title;
      document.title = well ? this.dataset.done : this.dataset.failed;
      if (!this.on || took < LONG_MS) return;
      const notification = new Notification(title, { body: document.title, tag: KEY, icon: "favicon.ico" });
      notification.onclick = () => window.focus();
    }
  }
  customElements.define("carrot-tell", Tell);

  const look = () => {
    for (const box of document.querySelectorAll('[id$="-status"]')) {
      if (box.querySelector(".progress.running, .progress.waiting")) {
        if (!began.has(box.id)) began.set(box.id, Date.now());
      } else if (began.has(box.id) && box.querySelector(".progress[data-job]")) {
        setTimeout(settle, SETTLED_MS, box, Date.now());
      }
    }
  };

  const settle = (box, now) => {
    const end = box.querySelector(".progress[data-job]");
    if (!end || !began.has(box.id)) return;
    const took = now - began.get(box.id);
    began.delete(box.id);
    // Who cancels a job knows of its end.
    const well = end.classList.contains("done");
    if (well || end.classList.contains("problem")) document.querySelector("carrot-tell")?.ended(well, took);
  };

  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || title === null) return;
    document.title = title;
    title = null;
  });
})();
