// What a browser tab keeps over a reload, and over a restart of the studio: what was typed, the jobs that were sent, the
// chosen tab (in the address), which boxes are unfolded, and the place on the page.
//
// In sessionStorage, since each browser tab has work of its own.
window.studio = (() => {
  const PREFIX = "carrot-";
  const TABS = "#tabs > .tab-wrapper [role=tab]";
  const SETTLE_MS = 8000; // How long the page may take until it is as long as it was.
  const CALM_MS = 1500;
  const PRESS_MS = 300;
  const FIND_MS = 2000;
  const given = new Set(); // Forms that have got back what was kept: before that, their values are no news.

  const read = (key) => {
    try {
      return JSON.parse(sessionStorage.getItem(PREFIX + key));
    } catch {
      return null; // Not ours, or storage is switched off.
    }
  };
  const write = (key, value) => {
    try {
      sessionStorage.setItem(PREFIX + key, JSON.stringify(value));
    } catch {} // Full or switched off: a reload loses something, and nothing else fails.
  };
  const forget = () => {
    for (const key of Object.keys(sessionStorage)) if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
  };

  // Calls `look` now and after changes of the page, at most once a frame, until it returns true.
  const watch = (look) => {
    let asked = false;
    const run = () => {
      asked = false;
      if (look()) observer.disconnect();
    };
    const observer = new MutationObserver(() => {
      if (!asked) requestAnimationFrame(run);
      asked = true;
    });
    observer.observe(document.documentElement, {
      childList: true, subtree: true, attributes: true, attributeFilter: ["disabled", "aria-selected", "class", "style"],
    });
    run();
  };

  const keep = (form, names, values) => {
    if (given.has(form)) write(`form-${form}`, Object.fromEntries(names.map((name, i) => [name, values[i]])));
  };
  const kept = async (form, names, values) => {
    const stored = read(`form-${form}`) ?? {};
    const wanted = names.map((name, i) => (name in stored ? stored[name] : values[i]));
    const found = await Promise.all(wanted.map(stillThere));
    given.add(form);
    return found;
  };
  // Uploads are kept for a day.
  const stillThere = async (value) => {
    if (!value?.url || value.url.startsWith("data:")) return value;
    const answer = await fetch(value.url, { method: "HEAD" }).catch(() => null);
    return answer?.ok ? value : null;
  };

  const jobs = (tab) => read(`jobs-${tab}`) ?? "";
  const keepJobs = (tab, ids) => write(`jobs-${tab}`, ids);

  // Before a job is sent, the page has to be done with those that it finds again: what comes of both at once it would
  // draw in any order. One that is still at work is let go of by the studio.
  const done = new Set();
  const hasFound = (tab) => done.add(tab);
  const found = async (tab) => {
    const until = performance.now() + FIND_MS;
    while (!done.has(tab) && performance.now() < until) await new Promise((go) => setTimeout(go, 20));
  };

  // Another account in the same browser tab sees nothing of the one before.
  const own = (account) => {
    const before = read("account");
    if (before !== null && before !== account) {
      given.clear();
      forget();
      leave.abort();
      location.reload();
    }
    write("account", account);
  };
  const leave = new AbortController();
  document.addEventListener("submit", (event) => {
    if (!event.target.matches(".account")) return;
    leave.abort();
    forget();
  });

  // -- the chosen tab, in the address

  const chosen = () => document.querySelector(`${TABS}[aria-selected=true]`)?.dataset.tabId;
  const wanted = () => new URLSearchParams(location.search).get("tab");
  let first;
  const choose = (tab) => document.querySelector(`${TABS}[data-tab-id="${CSS.escape(tab)}"]`)?.click();
  watch(() => {
    const tab = chosen();
    if (!tab) return false;
    if (first === undefined) {
      first = tab;
      if (wanted()) choose(wanted());
      return false;
    }
    if (tab === (wanted() ?? first)) return false;
    if (!document.querySelector(`${TABS}[data-tab-id="${CSS.escape(wanted() ?? first)}"]`)) return false;
    const address = new URL(location.href);
    address.searchParams.set("tab", tab);
    if (returning === tab) returning = null;
    else history.pushState(null, "", address);
    return false;
  });
  let returning = null;
  addEventListener("popstate", () => {
    const tab = wanted() ?? first;
    if (!tab || tab === chosen()) return;
    returning = tab;
    choose(tab);
  });

  // -- the place on the page

  const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";
  // An element as its nearest named ancestor and its number among what can be focused in there.
  const pathTo = (element) => {
    const box = element?.closest?.("[id]");
    if (!box || element === document.body) return null;
    return { id: box.id, number: box === element ? -1 : [...box.querySelectorAll(FOCUSABLE)].indexOf(element) };
  };
  const at = (path) => {
    const box = path && document.getElementById(path.id);
    return box && (path.number < 0 ? box : box.querySelectorAll(FOCUSABLE)[path.number]);
  };

  history.scrollRestoration = "manual";
  addEventListener("pagehide", () => {
    if (leave.signal.aborted) return;
    const field = document.activeElement;
    write("place", {
      address: location.href,
      top: scrollY,
      open: [...document.querySelectorAll(".gr-accordion:has(> .label-wrap.open)")].map((box) => box.id),
      focus: pathTo(field),
      selection: field?.matches?.("textarea, input[type=text]") ? [field.selectionStart, field.selectionEnd] : null,
    });
  });
  const place = read("place");
  if (place?.address === location.href) {
    const label = (id) => document.getElementById(id)?.querySelector(":scope > .label-wrap");
    const isOpen = (id) => label(id)?.classList.contains("open");
    const pressed = new Map(); // When a box was opened: its mark follows a moment later.
    const until = performance.now() + SETTLE_MS;
    let touched = false;
    for (const kind of ["wheel", "pointerdown", "keydown"]) addEventListener(kind, () => (touched = true), { once: true });
    let focused = !place.focus;
    let calm = Infinity; // When all was in its place for long enough.
    let done = false;
    const restore = () => {
      if (done) return true;
      const now = performance.now();
      for (const id of place.open) {
        if (!label(id) || isOpen(id) || now - (pressed.get(id) ?? -Infinity) < PRESS_MS) continue;
        pressed.set(id, now);
        label(id).click();
        // Gradio may close it once more, and that may be the last that happens on the page.
        setTimeout(restore, PRESS_MS + 1);
        focused = !place.focus;
      }
      done = touched || now > Math.min(until, calm);
      if (done) return true;
      const field = at(place.focus);
      if (!focused && field?.checkVisibility() && !field.disabled) {
        field.focus({ preventScroll: true });
        if (place.selection) field.setSelectionRange(...place.selection);
        focused = true;
      }
      if (place.top > 0) scrollTo({ top: place.top, behavior: "instant" });
      const all = focused && place.open.every(isOpen) && scrollY >= place.top - 1;
      calm = all ? Math.min(calm, now + CALM_MS) : Infinity;
      return false;
    };
    watch(restore);
  }

  return { read, write, keep, kept, jobs, keepJobs, hasFound, found, own, watch, pathTo, at };
})();
