// Pictures: seen large, their menu and windows, a headline over them.
(() => {
  // -- seen large: all pictures of a gallery, one after another

  const large = { thumbnails: [], at: 0, silent: false };

  const box = () => document.getElementById("lightbox");

  const look = (at) => {
    const { thumbnails } = large;
    large.at = (at + thumbnails.length) % thumbnails.length;
    const thumbnail = thumbnails[large.at];
    const image = box().querySelector("img");
    const seen = thumbnail.querySelector("img");
    image.src = seen.src;
    image.classList.toggle("see-through", seen.classList.contains("see-through"));
    image.style.backgroundColor = seen.style.backgroundColor;
    image.alt = thumbnail.innerText.trim() || image.alt;
    const several = thumbnails.length > 1;
    box().querySelector(".lightbox-note").textContent =
      thumbnail.innerText.trim() + (several ? ` · ${large.at + 1} / ${thumbnails.length}` : "");
    for (const name of ["previous", "next"]) box().querySelector(`.lightbox-${name}`).hidden = !several;
  };

  const step = (by) => {
    look(large.at + by);
    // What can be done follows the picture that is seen.
    large.silent = true;
    large.thumbnails[large.at].click();
    large.silent = false;
  };

  const openLarge = (thumbnail) => {
    const gallery = thumbnail.closest(".result-gallery");
    large.thumbnails = [...gallery.querySelectorAll("button.thumbnail-item")];
    look(large.thumbnails.indexOf(thumbnail));
    box().showModal();
    box().addEventListener("close", () => large.thumbnails[large.at]?.focus(), { once: true });
  };

  document.addEventListener("keydown", (event) => {
    if (box()?.open) {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by && large.thumbnails.length > 1) step(by);
    }
    const tab = event.target.closest?.(".code-dialog [role=tab]");
    if (tab && ["ArrowLeft", "ArrowRight"].includes(event.key)) {
      const tabs = [...tab.parentElement.children];
      const by = event.key === "ArrowRight" ? 1 : tabs.length - 1;
      showTab(tabs[(tabs.indexOf(tab) + by) % tabs.length]);
    }
    if (event.key === "Escape") {
      const menu = document.querySelector(".picture-menu[open]");
      if (menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
      }
    }
  });

  // Before Gradio hears of the press, whose event asks for this.
  document.addEventListener("click", ({ target }) => {
    const gallery = target.closest?.("button.thumbnail-item") && target.closest(".result-gallery, .recent-gallery");
    if (!gallery) return;
    gallery.dataset.pressed = [...gallery.querySelectorAll("button.thumbnail-item")].indexOf(target.closest("button"));
  }, true);

  let touchedAt = 0;
  document.addEventListener("touchstart", (event) => (touchedAt = event.touches[0].clientX), { passive: true });
  document.addEventListener("touchend", (event) => {
    const by = event.changedTouches[0].clientX - touchedAt;
    if (box()?.open && large.thumbnails.length > 1 && Math.abs(by) > 60) step(by > 0 ? -1 : 1);
  });

  // -- windows, menu, buttons

  const showTab = (tab) => {
    for (const other of tab.parentElement.children) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
    tab.focus();
  };

  // What is added to an address for another background than was drawn stands in the code with a word in its place.
  const withBackground = (text, added, word) => {
    const background = added ? window.avatarBackground() : "keep";
    if (!added) return text;
    return text.replaceAll(added, background === "keep" ? "" : added.replace(word, encodeURIComponent(background)));
  };

  const open = (what) => {
    if (what.matches("dialog")) {
      // The studio is where the page is, which the browser knows best.
      for (const code of what.querySelectorAll("code")) {
        code.dataset.written ??= code.textContent;
        const text = code.dataset.written.replaceAll(what.dataset.origin, location.origin);
        code.textContent = withBackground(text, code.dataset.added, what.dataset.background);
      }
      what.showModal();
      return;
    }
    what.hidden = !what.hidden;
    if (what.hidden) return;
    what.querySelector("input").focus();
    layHeadline(what);
  };

  const copy = async (dialog) => {
    const text = dialog.querySelector("pre:not([hidden])").textContent;
    const done = await window.putOnClipboard(text, dialog);
    const status = dialog.querySelector("[role=status]");
    status.textContent = done ? status.dataset.copied : status.dataset.refused;
  };

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest?.(selector);
    const thumbnail = at(".result-gallery button.thumbnail-item");
    if (thumbnail && !large.silent) openLarge(thumbnail);
    const opens = at("[data-opens]");
    if (opens) open(document.getElementById(opens.dataset.opens));
    const tab = at(".code-dialog [role=tab]");
    if (tab) showTab(tab);
    if (at("[data-copy]")) copy(at("dialog"));
    if (at("[data-close]") || event.target.matches?.("dialog.lightbox, dialog.code-dialog")) at("dialog").close();
    if (at(".lightbox-previous")) step(-1);
    if (at(".lightbox-next")) step(1);
    for (const menu of document.querySelectorAll(".picture-menu[open]")) {
      if (!menu.querySelector("summary").contains(event.target)) menu.open = false;
    }
  });

  // A menu opens where there is room for it. At the foot of a phone's window is the row of buttons.
  const BUTTONS = 70;
  document.addEventListener("toggle", ({ target }) => {
    if (!target.matches(".picture-menu[open]")) return;
    target.classList.remove("up");
    const room = innerHeight - (innerWidth <= 760 ? BUTTONS : 0);
    target.classList.toggle("up", target.lastElementChild.getBoundingClientRect().bottom > room);
  }, true);

  // -- a headline: drawn by the studio, so that what is seen is what is downloaded

  let wait = 0;
  document.addEventListener("input", (event) => {
    const headline = event.target.closest?.(".headline");
    if (!headline) return;
    clearTimeout(wait);
    wait = setTimeout(() => layHeadline(headline), 350);
  });

  const layHeadline = async (headline) => {
    const text = headline.querySelector("input").value.trim();
    const address = (options) => `${headline.dataset.path}?${new URLSearchParams({ text, ...options })}`;
    const image = headline.querySelector("img");
    const downloads = headline.querySelector(".headline-downloads");
    let problem = "";
    let shown = false;
    if (text) {
      const answer = await fetch(address({ format: "webp", w: 1200 })).catch(() => null);
      if (headline.querySelector("input").value.trim() !== text) return; // Typed on meanwhile.
      shown = answer?.ok ?? false;
      if (shown) {
        URL.revokeObjectURL(image.src);
        image.src = URL.createObjectURL(await answer.blob());
      } else problem = say.finished((await answer?.json())?.error.message ?? "");
    }
    headline.querySelector(".headline-problem").textContent = problem;
    image.hidden = downloads.hidden = !shown;
    for (const link of downloads.children) {
      link.href = address({ format: link.dataset.format, disposition: "attachment" });
    }
  };

  window.pictures = {
    show: (id) => requestAnimationFrame(() => document.getElementById(id)?.scrollIntoView({ block: "center" })),
  };
})();
