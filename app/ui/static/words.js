// The texts of the page's scripts, in its language: app/ui/script_words.py gives them.
//
// say(NAME, VALUES): the text with the values in its {places}. One that has several forms takes that for `n`.
// say.finished(SENTENCE): an English sentence with its values in it, as routes answer, in the page's language if that is
// known; as app/i18n/catalogs.py does. say.gradio(NAME): one that Gradio has in English only.
window.say = (() => {
  const { texts, sentences, nested, gradio } = JSON.parse(document.getElementById("page-words").textContent);
  const rules = new Intl.PluralRules(document.documentElement.lang);
  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, place) => values[place] ?? whole);

  const say = (name, values = {}) => {
    const forms = texts[name];
    return fill(Array.isArray(forms) ? forms[rules.select(values.n) === "one" ? 0 : 1] : forms, values);
  };

  const literal = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
  const pattern = (english) => {
    const seen = new Set();
    const parts = english.split(/\{(\w+)\}/).map((part, number) => {
      if (number % 2 === 0) return literal(part);
      if (seen.has(part)) return `\\k<${part}>`;
      seen.add(part);
      return `(?<${part}>.+?)`;
    });
    return new RegExp(`^${parts.join("")}$`, "s");
  };
  const known = Object.entries(sentences);
  say.finished = (sentence) => {
    if (!sentence || !known.length) return sentence;
    if (Object.hasOwn(sentences, sentence)) return sentences[sentence];
    for (const [english, translated] of known) {
      const found = english.includes("{") && pattern(english).exec(sentence);
      if (!found) continue;
      const values = Object.entries(found.groups ?? {}).map(([place, value]) => [
        place,
        nested.includes(place) ? say.finished(value) : value,
      ]);
      return fill(translated, Object.fromEntries(values));
    }
    const single = sentence.split(/(?<=[.!?]) (?=\S)/);
    return single.length > 1 ? single.map(say.finished).join(" ") : sentence;
  };
  say.gradio = (name) =>
    gradio[name] ?? name.replace(/^Thumbnail (\d+) of (\d+)$/, (_, n, total) => say("thumbnail", { n, total }));
  return say;
})();
