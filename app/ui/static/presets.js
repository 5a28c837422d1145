// Pictures for the cards of presets and examples.
(() => {
  const KINDS = ["avatar", "hero"];
  const AGAIN_MS = 20000;
  let known = null;

  const ask = async () => {
    try {
      const answer = await fetch("/presets");
      if (!answer.ok) return;
      known = await answer.json();
    } catch {
      return; // The cards have their words.
    }
    KINDS.forEach(dress);
    // A model's pictures are made while it has nothing else to do.
    if (known.more_pictures) setTimeout(ask, AGAIN_MS);
  };

  const put = (card, picture) => {
    let image = card.querySelector("img");
    if (!picture || image?.getAttribute("src") === picture) return;
    image ??= card.insertBefore(document.createElement("img"), card.firstChild);
    image.alt = "";
    image.loading = "lazy";
    image.src = picture;
  };

  const dress = (kind) => {
    const group = document.getElementById(`${kind}-preset`);
    const notes = JSON.parse(document.querySelector(`[data-cards="${kind}-preset"]`)?.dataset.notes ?? "{}");
    const cards = [...(group?.querySelectorAll("label") ?? [])];
    cards.forEach((card) => {
      const input = card.querySelector("input");
      const preset = known?.[kind].presets.find((one) => one.id === input.value);
      if (preset) {
        put(card, preset.picture);
        const note = notes[preset.id] ?? "";
        if (card.title !== note) card.title = note;
        card.classList.toggle("unsuited", !preset.suits);
      }
    });
    known?.[kind].examples.forEach((example, number) => {
      const card = document.getElementById(`${kind}-example-${number + 1}`);
      if (card) put(card, example.picture);
    });
    watch(kind, group);
  };

  // Gradio draws a group anew when it likes, and marks the chosen card with a class.
  const watched = new WeakSet();
  const watch = (kind, group) => {
    if (!group || watched.has(group)) return;
    watched.add(group);
    const row = group.querySelector(".wrap");
    row.setAttribute("role", "radiogroup");
    row.setAttribute("aria-label", group.querySelector("[data-testid=block-info]")?.textContent.trim() || say("preset"));
    row.setAttribute("aria-describedby", `${kind}-preset-note`);
    let chosen = null;
    const look = () => {
      dress(kind);
      const now = group.querySelector("label.selected");
      if (now && now !== chosen) {
        chosen = now;
        row.scrollTo({ left: now.offsetLeft - row.offsetLeft - (row.clientWidth - now.offsetWidth) / 2 });
      }
    };
    new MutationObserver(look).observe(group, { subtree: true, childList: true, attributeFilter: ["class"] });
    look();
  };

  addEventListener("click", (event) => {
    const button = event.target.closest?.(".show-all");
    if (!button) return;
    const all = document.getElementById(button.dataset.cards).classList.toggle("all");
    button.setAttribute("aria-expanded", all);
    [button.textContent, button.dataset.less] = [button.dataset.less, button.textContent];
  });

  // Of a closed tab nothing is drawn before it is opened.
  let soon = 0;
  new MutationObserver(() => {
    cancelAnimationFrame(soon);
    soon = requestAnimationFrame(() => KINDS.forEach(dress));
  }).observe(document, { subtree: true, childList: true });
  ask();
})();
