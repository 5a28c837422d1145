// Lets the style sheet say that the browser will not record: it does so over https or on localhost only.
document.documentElement.classList.toggle("insecure", !window.isSecureContext);

// For ?view=api Gradio 6.31 takes its API page for open without having loaded it: close it, then open it.
if (new URLSearchParams(location.search).get("view") === "api") {
  const waiting = setInterval(() => {
    const link = document.querySelector("footer .show-api");
    if (!link) return;
    clearInterval(waiting);
    setTimeout(() => {
      if (document.querySelector(".api-docs")) return;
      link.click();
      setTimeout(() => link.click(), 50);
    }, 1000);
  }, 100);
}

// On a phone the results are below the form: who presses Generate is led to them, and once more when a picture has come
// and with it room to go there; not who has moved on.
(() => {
  let before = null;
  let status = null;
  const lines = () =>
    [...document.querySelectorAll("[id$=-status] .progress:is([data-job], :has([role=progressbar]))")].filter((each) =>
      each.checkVisibility(),
    );
  const lead = () => {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (innerWidth <= 760) status.scrollIntoView({ block: "start", behavior: calm ? "auto" : "smooth" });
  };
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.(".go-row .primary")) before = new Set(lines().map((each) => each.dataset.job));
  });
  window.studio.watch(() => {
    // A quick job has its last line before its bar was drawn: any job's line that was not there when it was pressed.
    const line = before && lines().find((each) => !each.dataset.job || !before.has(each.dataset.job));
    if (!line) return;
    before = null;
    status = line.closest("[id$=-status]");
    lead();
  });
  const shown = ({ target }) => {
    if (status && target.closest?.(".studio")?.contains(status) && target.closest("[id$=-gallery]")) lead();
  };
  document.addEventListener("load", shown, true);
  for (const moved of ["pointerdown", "wheel", "keydown"]) document.addEventListener(moved, () => (status = null), true);
})();
// True once the text is on the clipboard. Over plain http browsers have none for pages, and only the old way is left;
// within an open window it works inside of that alone.
window.putOnClipboard = async (text, within = document.body) => {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  }
  const box = document.createElement("textarea");
  box.style = "position:fixed;opacity:0";
  box.value = text;
  within.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  return done;
};

// Who types a seed wants that one next time too; who empties the box wants a new one. Not by an event of Gradio's, which
// tells of an input before it knows the value. What is filled in by the studio brings its own choice.
document.addEventListener("input", ({ target }) => {
  const kind = target.closest?.("#avatar-seed, #hero-seed")?.id.replace("-seed", "");
  if (!kind) return;
  const wanted = target.value.trim() ? "keep" : "random";
  document.querySelector(`#${kind}-seed-mode input[value=${wanted}]`)?.click();
});
