// The keyboard: Enter and Ctrl+Enter generate, Escape cancels, a group of choices is one stop, and focus is not lost.
(() => {
  const { watch, pathTo, at } = window.studio;
  const OPEN = "dialog[open], [aria-modal=true], [aria-expanded=true]:not(.show-all), [role=listbox]:not(input), .preview:not(img), .api-docs, :popover-open";

  const visible = (selector) => [...document.querySelectorAll(selector)].find((element) => element.checkVisibility());
  const offline = () => document.documentElement.classList.contains("offline");
  const press = (selector) => {
    const button = visible(selector);
    if (button && !button.disabled && !offline()) button.click();
  };

  addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const { target } = event;
    if (event.key === "Escape") {
      if (!visible(OPEN) && !document.fullscreenElement && !event.defaultPrevented) press(".go-row [id$=-cancel]");
      return;
    }
    if (event.key !== "Enter" || event.altKey || !target.closest?.(".studio")) return;
    const all = event.ctrlKey || event.metaKey;
    const typing = target.matches(".form-column textarea, .form-column input:is([type=text], [type=number])");
    if (!typing && !(all && target.closest(".form-column"))) return;
    if (target.matches("[aria-expanded]") && !all) return; // Enter picks from its list.
    event.stopPropagation();
    if (event.shiftKey && !all) return;
    event.preventDefault();
    press(".go-row button.primary");
  }, true);

  // Gradio sends what is typed into a box with several lines at Shift+Enter, which here begins another line.
  addEventListener("keypress", (event) => {
    if (event.key === "Enter" && event.target.matches?.(".form-column textarea")) event.stopPropagation();
  }, true);

  // Radio buttons of one name are one stop, and the arrow keys choose among them. Gradio's have none here: see assets.py.
  watch(() => {
    for (const radio of document.querySelectorAll("fieldset[id] input[type=radio]")) {
      const name = radio.closest("fieldset").id;
      if (radio.name !== name) radio.name = name;
    }
  });

  // A button that is switched off, or is gone, takes the focus with it.
  let last = null;
  addEventListener("focusin", ({ target }) => {
    last = { element: target, path: pathTo(target) };
  });
  addEventListener("pointerdown", () => (last = null), true);
  watch(() => {
    const active = document.activeElement;
    if (!last || (active && active !== document.body && !active.disabled)) return;
    const { element, path } = last;
    if (element.isConnected && !element.disabled && element.checkVisibility()) return;
    const row = element.closest(".go-row") ?? visible(".go-row");
    const next = [at(path), ...(row?.querySelectorAll("button.primary, [id$=-cancel]") ?? [])];
    next.find((found) => found && !found.disabled && found.checkVisibility())?.focus({ preventScroll: true });
  });
})();
