// Files that are dropped on the page: a picture fills the form with its settings, a recording becomes its text.
//
// A place that takes files itself, as the one for a photo, has what is dropped on it.
(() => {
  const { watch } = window.studio;
  const root = document.documentElement;
  const BOX = "#transcribe-file"; // Where recordings are chosen. Gradio takes what is dropped on it while it is empty.
  const OWN = `.block:has(input[type=file]):not(:has(#settings-from), ${BOX}:has(.file-preview))`;
  let dropped = false; // What is being uploaded there was dropped, and starts by itself.

  const files = (event) => [...(event.dataTransfer?.items ?? [])].filter((item) => item.kind === "file");
  const ownPlace = (event) => event.target.closest?.(OWN);
  const tab = (id) => document.querySelector(`[role=tab][data-tab-id=${id}]`);
  const isPicture = ({ type }) => type.startsWith("image/");
  // A name that the system does not know has no type: it is a recording for who is about to transcribe one.
  const isRecording = ({ type }) => /^(audio|video)\//.test(type) || tab("transcribe")?.ariaSelected === "true";
  const use = (event) => {
    const items = files(event);
    if (items.some(isPicture)) return "picture";
    return items.some(isRecording) ? "recording" : "";
  };

  const veil = (words) => {
    root.classList.toggle("dropping", Boolean(words));
    if (words) root.dataset.drop = words;
  };

  document.addEventListener("dragover", (event) => {
    if (!files(event).length || ownPlace(event)) return veil("");
    event.preventDefault();
    const kind = use(event);
    if (!kind) event.dataTransfer.dropEffect = "none";
    veil(document.getElementById("drop-note")?.dataset[kind]);
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && veil(""));
  // Before Gradio, which lets nobody else know.
  document.addEventListener("drop", (event) => {
    veil("");
    if (!files(event).length) return;
    const own = ownPlace(event);
    dropped = Boolean(own?.matches(BOX));
    if (own) return;
    event.preventDefault();
    const all = [...event.dataTransfer.files];
    const kind = use(event);
    if (kind === "picture") give(fromPicture(), [all.find(isPicture)]);
    if (kind === "recording") transcribe(all.filter(isRecording));
  }, true);

  const fromPicture = () =>
    document.querySelector("#settings-from input[type=file], input[type=file]#settings-from") ??
    document.getElementById("settings-from")?.parentElement.querySelector("input[type=file]");

  const give = (input, chosen) => {
    if (!input) return;
    const carried = new DataTransfer();
    for (const file of chosen) carried.items.add(file);
    input.files = carried.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  // In the place of what was chosen before. Of a closed tab nothing is drawn before it is opened.
  const transcribe = (recordings) => {
    tab("transcribe").click();
    watch(() => {
      const half = tab("upload");
      const box = document.querySelector(BOX);
      if (half?.ariaSelected === "false") half.click();
      if (!box?.checkVisibility()) return false;
      if (box.querySelector(".file-preview")) {
        document.getElementById("transcribe-clear").click();
        return false;
      }
      const input = box.querySelector("input[type=file]");
      if (!input) return false;
      dropped = true;
      give(input, recordings);
      return true;
    });
  };

  // Gradio's button for more files has the place that is pressed inside, which the keyboard does not come to.
  document.addEventListener("click", ({ target }) => {
    if (target.matches?.(`${BOX} .icon-button:has(input[type=file])`)) target.querySelector("input").click();
  });

  // Who chooses files presses the button too.
  document.addEventListener("change", (event) => {
    if (event.isTrusted && event.target.closest?.(BOX)) dropped = false;
  });
  window.recordings = {
    uploaded: () => {
      if (dropped) document.getElementById("transcribe-go").click();
      dropped = false;
    },
  };
})();
