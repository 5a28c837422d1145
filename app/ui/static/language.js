// The switch for the page's language: a cookie, since the studio writes the page. What was typed stays (keep.js).
customElements.define(
  "carrot-language",
  class extends HTMLElement {
    connectedCallback() {
      this.onchange = ({ target }) => {
        document.cookie = `carrot_language=${target.value}; path=/; max-age=31536000; samesite=lax`;
        location.reload();
      };
    }
  },
);

// Gradio's own texts are in the page's language (speak.js) but for some names of buttons, which it has in English alone.
(() => {
  if (document.documentElement.lang === "en") return;
  const NAMES = ["aria-label", "title", "alt"];
  const mend = (element) => {
    for (const name of NAMES) {
      const told = element.getAttribute(name);
      const better = told && say.gradio(told);
      if (better !== told) element.setAttribute(name, better);
    }
  };
  const all = (root) => root.querySelectorAll("[aria-label], [title], [alt]").forEach(mend);
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") mend(target);
      for (const added of addedNodes) {
        if (!(added instanceof Element)) continue;
        mend(added);
        all(added);
      }
    }
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: NAMES });
  all(document);
})();
