// Puts what is wrong with a field beside it, and lets buttons inside of texts press those of the page.
//
// A line of status with `data-field` names the field's box; `data-at` tells one time from the next.
(() => {
  const { watch } = window.studio;
  const FIELD = "textarea, input:not([type=radio], [type=file], [type=hidden]), input[type=radio]:checked, button";
  const PLACED = "field-problem";
  let seen = null;

  const clear = (box) => {
    box.querySelector(`:scope > .${PLACED}`)?.remove();
    for (const field of box.querySelectorAll(`[aria-describedby="${box.id}-problem"]`)) {
      field.removeAttribute("aria-invalid");
      field.removeAttribute("aria-describedby");
    }
  };
  const unfold = (id) => {
    // What is in a box that was never opened is not there yet.
    const around = document.getElementById(id)?.closest(".gr-accordion") ?? document.getElementById(`${id.split("-")[0]}-advanced`);
    const label = around?.querySelector(":scope > .label-wrap:not(.open)");
    label?.click();
  };
  const put = (line) => {
    const id = line.dataset.field;
    unfold(id);
    watch(() => {
      if (!line.isConnected) return true;
      const box = document.getElementById(id);
      const field = box?.checkVisibility() && box.querySelector(FIELD);
      if (!field) return false;
      const note = line.classList.contains("note"); // Nothing is wrong, and nobody is taken there.
      const text = document.createElement("p");
      text.className = PLACED;
      text.classList.toggle("note", note);
      text.id = `${id}-problem`;
      text.setAttribute("role", note ? "status" : "alert");
      text.textContent = line.textContent;
      box.append(text);
      field.setAttribute("aria-describedby", text.id);
      line.classList.add("placed");
      if (!note) {
        field.setAttribute("aria-invalid", "true");
        field.focus({ preventScroll: true });
      }
      box.scrollIntoView({ block: "nearest" });
      for (const change of ["input", "change"]) box.addEventListener(change, () => clear(box), { once: true });
      return true;
    });
  };

  watch(() => {
    const lines = [...document.querySelectorAll("[data-field][data-at]")];
    const line = lines.find((each) => each.checkVisibility() && !each.classList.contains("placed"));
    if (!line || line.dataset.at === seen) return;
    seen = line.dataset.at;
    for (const old of document.querySelectorAll(`.${PLACED}`)) clear(old.parentElement);
    put(line);
  });
  // A job that has been sent has no wrong field any more; a quick one is done before its bar is drawn.
  watch(() => {
    for (const bar of document.querySelectorAll("[id$=-status] :is([role=progressbar], .progress.done)")) {
      for (const old of bar.closest(".studio")?.querySelectorAll(`.${PLACED}`) ?? []) clear(old.parentElement);
    }
  });

  document.addEventListener("click", ({ target }) => {
    const button = target.closest?.("[data-press]");
    if (!button) return;
    if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
    window.studio.pressed = button.dataset.value ?? "";
    document.getElementById(button.dataset.press)?.click();
  });
})();
