// Gradio speaks the browser's language: it hears the page's instead, as the person's own region has it.
(() => {
  const { lang } = document.documentElement;
  const own = navigator.languages.find((code) => code.split("-")[0] === lang) ?? lang;
  Object.defineProperties(navigator, { language: { get: () => own }, languages: { get: () => [own] } });
})();
