// Says at once that the studio cannot be reached, and goes on by itself when it can.
//
// A page that has lost an answer, or that an earlier run of the studio served, is loaded again: keep.js gives everything
// back that was typed, and the tab follows its jobs again.
(() => {
  const EVERY_MS = 1500;
  const PATIENCE_MS = 4000; // A busy studio is not one that is gone.
  const PAUSE_MS = 5000; // Between two reloads: something else may break every answer.
  const root = document.documentElement;
  let broken = false; // An answer that somebody waits for will not come.
  let leaving = false;
  let asking = null;

  const ask = async (address) => {
    const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status >= 500) throw new Error(String(answer.status));
    return answer;
  };
  const recording = () => document.querySelector("#live-record:is([data-state=recording], [data-state=finishing])");

  const look = async () => {
    try {
      await ask("health/live");
      if (!root.classList.contains("offline") && !broken) return;
      const answer = await ask("gradio_api/app_id");
      const same = answer.ok && (await answer.json()).app_id === window.gradio_config?.app_id;
      if (recording()) return; // It has a connection of its own, and sound that a reload would lose.
      if (broken || !same) reload();
      else root.classList.remove("offline");
    } catch {
      root.classList.add("offline");
    }
  };
  const reload = () => {
    if (leaving || Date.now() - (window.studio.read("reloaded") ?? 0) < PAUSE_MS) return;
    window.studio.write("reloaded", Date.now());
    location.reload();
  };
  const check = () => {
    asking ??= look().finally(() => (asking = null));
  };

  setInterval(() => document.hidden || check(), EVERY_MS);
  document.addEventListener("visibilitychange", () => document.hidden || check());
  for (const change of ["online", "offline"]) addEventListener(change, check);
  addEventListener("pagehide", () => (leaving = true));
  addEventListener("pageshow", () => (leaving = false));
  addEventListener("studio:broken", () => {
    broken = true;
    check();
  });
})();
