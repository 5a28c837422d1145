// An avatar's background: what was drawn, a colour, or nothing. The studio takes it away; a colour is laid behind here.
(() => {
  const LOOK_MS = 1000;
  const PATIENT_LOOKS = 5; // A busy studio may take some until it begins to fetch.
  const chosen = new Map(); // of each picture of the job that is shown, by its path
  const box = () => document.getElementById("avatar-background");
  const part = (name) => box().querySelector(name);
  const isMissing = () => "missing" in box().dataset;
  const radio = (value) => part(`input[value="${value}"]`);

  const choice = () => {
    const value = part("input:checked").value;
    return value === "colour" ? part("input[type=color]").value : value;
  };

  const address = (path, options) => {
    const url = new URL(path, location.href);
    for (const [name, value] of Object.entries(options)) {
      if (value === "keep") url.searchParams.delete(name);
      else url.searchParams.set(name, value);
    }
    return url.pathname + url.search;
  };

  const thumbnail = () =>
    document.querySelectorAll("#avatar-gallery button.thumbnail-item")[Number(box().dataset.number)]?.querySelector("img");

  // The picture without its background is one file, whatever is behind it.
  const show = (background) => {
    const cut = background === "keep" ? "keep" : "transparent";
    const large = thumbnail();
    if (large && background !== "keep") {
      large.dataset.drawn ??= large.src;
      large.style.setProperty("--ratio", large.naturalWidth / large.naturalHeight || 1);
      large.src = address(box().dataset.path, { background: cut, format: "webp" });
    } else if (large?.dataset.drawn) {
      large.src = large.dataset.drawn;
      delete large.dataset.drawn;
    }
    const crops = [...box().parentElement.querySelectorAll(".as-avatar img")];
    for (const crop of crops) crop.src = address(crop.src, { background: cut });
    for (const image of [large, ...crops].filter(Boolean)) {
      image.classList.toggle("see-through", background === "transparent");
      image.style.backgroundColor = background.startsWith("#") ? background : "";
    }
    for (const link of box().parentElement.querySelectorAll('.picture-bar a[href^="/files/"]')) {
      link.href = address(link.href, { background });
      const jpeg = link.href.includes("format=jpeg");
      if (jpeg) link.hidden = background === "transparent";
    }
    const refused = box().parentElement.querySelector(".no-jpeg");
    if (refused) refused.hidden = background !== "transparent";
  };

  const apply = async () => {
    const [path, background] = [box().dataset.path, choice()];
    const other = background !== "keep";
    chosen.set(path, background);
    part("input[type=color]").hidden = !background.startsWith("#");
    part(".background-note").hidden = !other || isMissing();
    part(".background-problem").textContent = "";
    part(".background-missing").hidden = !(other && isMissing());
    if (other && isMissing()) return;
    let problem = "";
    if (other) {
      box().setAttribute("aria-busy", "true");
      const answer = await fetch(address(path, { background: "transparent", format: "webp" })).catch(() => null);
      if (box()?.dataset.path !== path || choice() !== background) return; // Something else by now.
      box().removeAttribute("aria-busy");
      if (!answer?.ok) problem = say.finished((await answer?.json())?.error.message) ?? box().dataset.lost;
    }
    if (problem) {
      radio("keep").checked = true;
      await apply();
      part(".background-problem").textContent = problem;
      return;
    }
    show(background);
  };

  document.addEventListener("input", (event) => {
    if (event.target.closest?.("#avatar-background")) apply();
  });

  // What the gallery shows anew is as it was drawn.
  document.addEventListener("load", (event) => {
    const image = event.target;
    if (!image.matches?.("#avatar-gallery img[data-drawn]") || image.src.includes("/files/")) return;
    delete image.dataset.drawn;
    image.classList.remove("see-through");
    image.style.backgroundColor = "";
  }, true);

  // -- a bar that is drawn anew, for another picture or the same, shows what was chosen for it

  const isNew = () => {
    const path = box().dataset.path;
    box().dataset.ready = "";
    const job = path.replace(/-\d+$/, "");
    for (const other of chosen.keys()) if (!other.startsWith(`${job}-`)) chosen.delete(other);
    const before = chosen.get(path) ?? "keep";
    // Also what is kept: the row that was there until now has taken the check mark, for its buttons have the same name.
    radio(before.startsWith("#") ? "colour" : before).checked = true;
    if (before === "keep") return;
    if (before.startsWith("#")) part("input[type=color]").value = before;
    apply();
  };

  // -- the model that takes backgrounds away, where it is not here yet

  let timer = 0;
  let still = 0; // For how many looks nothing has been fetched.

  // The list of models in its drawer knows how far it is; here it is told what its row says.
  const follow = () => {
    document.getElementById("models-refresh")?.click();
    if (!box()) return;
    const row = document.getElementById(`model-${part("[data-get]").dataset.get}`);
    const state = row?.dataset.state;
    if (state === "running" || state === "failed") {
      part(".background-missing [role=status]").textContent = row.querySelector("[role=status]").textContent;
    }
    part("[data-get]").disabled = state === "running";
    still = state === "running" ? 0 : still + 1;
    if (state !== "here" && still < PATIENT_LOOKS) return;
    clearInterval(timer);
    if (state !== "here") return;
    delete box().dataset.missing;
    apply();
  };

  document.addEventListener("click", (event) => {
    const get = event.target.closest?.(".background [data-get]");
    if (!get) return;
    window.modelToDo = `get ${get.dataset.get}`;
    document.getElementById("models-do").click();
    clearInterval(timer);
    still = 0;
    timer = setInterval(follow, LOOK_MS);
  });

  // Where the new bar is like the old one, Gradio changes the old one's attributes to the new one's.
  new MutationObserver(() => {
    if (box() && box().dataset.ready === undefined) isNew();
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-ready"] });

  /** What the avatar's background is to be: keep, transparent, or a colour as #rrggbb. */
  window.avatarBackground = () => (box() && !isMissing() ? choice() : "keep");
})();
