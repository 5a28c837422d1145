// Panels at the side: a button with the id NAME-open opens NAME-drawer; Escape, its button or a press beside it closes.
(() => {
  const LOOK_MS = 1000;
  let open = null;
  let opener = null;
  let timer = 0;

  const nameOf = (drawer) => drawer.id.replace(/-drawer$/, "");
  const refresh = () => document.getElementById(`${nameOf(open)}-refresh`)?.click();

  const show = (drawer, button) => {
    close();
    [open, opener] = [drawer, button];
    drawer.setAttribute("role", "dialog");
    drawer.setAttribute("aria-modal", "true");
    drawer.setAttribute("aria-labelledby", `${nameOf(drawer)}-title`);
    drawer.classList.add("open");
    document.documentElement.classList.add("drawer-open");
    refresh();
    timer = setInterval(() => open.querySelector("[data-live]") && refresh(), LOOK_MS);
    document.getElementById(`${nameOf(drawer)}-title`).focus();
  };

  const close = () => {
    if (!open) return;
    clearInterval(timer);
    open.classList.remove("open");
    document.documentElement.classList.remove("drawer-open");
    open = null;
    opener?.focus();
  };

  addEventListener("click", (event) => {
    const target = event.target;
    const button = target.closest?.("[id$=-open]");
    const drawer = button && document.getElementById(button.id.replace(/-open$/, "-drawer"));
    if (drawer) return show(drawer, button);
    if (!open) return;
    if (target.closest?.(".drawer-close")) return close();
    const doing = target.closest?.("[data-model]");
    if (doing) {
      window.modelToDo = doing.dataset.model;
      document.getElementById("models-do").click();
      return;
    }
    // What was pressed may be gone from the page by now, as an option of a list is.
    if (event.isTrusted && target.isConnected && !open.contains(target)) close();
  });

  addEventListener("keydown", (event) => {
    if (!open || event.defaultPrevented) return;
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
    if (event.key !== "Tab") return;
    const stops = [...open.querySelectorAll("button, input, a[href], [tabindex='0']")].filter(
      (one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility(),
    );
    const [first, last] = [stops[0], stops.at(-1)];
    const inside = open.contains(document.activeElement);
    if (event.shiftKey ? !inside || document.activeElement === first || document.activeElement.tabIndex < 0 : !inside || document.activeElement === last) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  });

  // A list that is drawn anew takes the focus along: give it back to the button that does the same, or to the heading.
  let focused = "";
  addEventListener("focusin", (event) => {
    focused = event.target.closest?.("[data-model]")?.dataset.model ?? "";
  });
  new MutationObserver(() => {
    if (!open || !focused || document.activeElement !== document.body) return;
    const name = focused.split(" ")[1];
    const same = [...open.querySelectorAll("[data-model]")].find((one) => one.dataset.model.split(" ")[1] === name);
    (same ?? document.getElementById(`${nameOf(open)}-title`)).focus();
  }).observe(document, { subtree: true, childList: true });
})();
