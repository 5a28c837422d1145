// Light or dark: as the system is, unless a person chose. Runs in the head, before anything is drawn.
(() => {
  const KEY = "carrot-studio-theme";
  const CHOICES = ["system", "light", "dark"];
  const QUERY = "(prefers-color-scheme: dark)";
  const root = document.documentElement;
  const ask = window.matchMedia.bind(window);
  const system = ask(QUERY);

  // Gradio asks the system and listens to it: it hears the choice instead.
  const shown = new EventTarget();
  Object.defineProperties(shown, { media: { value: QUERY }, matches: { get: () => root.dataset.theme === "dark" } });
  window.matchMedia = (query) => (query === QUERY ? shown : ask(query));

  const stored = () => {
    try {
      const choice = localStorage.getItem(KEY);
      return CHOICES.includes(choice) ? choice : "system";
    } catch {
      return "system"; // Storage is forbidden.
    }
  };
  const apply = (choice) => {
    const dark = choice === "dark" || (choice === "system" && system.matches);
    root.dataset.themeChoice = choice;
    root.dataset.theme = dark ? "dark" : "light";
    const bar = document.querySelector('meta[name="theme-color"]');
    bar.content = bar.dataset[root.dataset.theme];
    shown.dispatchEvent(new Event("change"));
    for (const button of document.querySelectorAll("carrot-theme")) button.show();
  };

  apply(stored());
  system.addEventListener("change", () => apply(root.dataset.themeChoice));
  addEventListener("storage", ({ key }) => key === KEY && apply(stored()));

  customElements.define(
    "carrot-theme",
    class extends HTMLElement {
      connectedCallback() {
        this.addEventListener("click", this.next);
        this.show();
      }

      disconnectedCallback() {
        this.removeEventListener("click", this.next);
      }

      next() {
        const choice = CHOICES[(CHOICES.indexOf(root.dataset.themeChoice) + 1) % CHOICES.length];
        try {
          localStorage.setItem(KEY, choice);
        } catch {
          // It holds until the page is left.
        }
        apply(choice);
      }

      show() {
        const button = this.querySelector("button");
        const words = this.dataset[root.dataset.themeChoice];
        button.setAttribute("aria-label", words);
        button.title = words;
      }
    },
  );
})();
