"""Our style sheet as the page needs it: each rule once as it is, and once with Gradio's container before it.

Gradio does this in the browser to the `css` that it is given, in each page's first moments, and sends that with each
page. Here it is done once, and browsers keep it.
"""

from __future__ import annotations

import re

COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
KEYFRAMES = r"@keyframes [\w-]+ \{(?:[^{}]*\{[^{}]*\})*[^{}]*\}"
RULE = re.compile(rf"(?P<keyframes>{KEYFRAMES})|(?P<selectors>[^{{}}@;]+)(?P<body>\{{[^{{}}]*\}})")
"""One that others can be around (`@media`), but that holds none itself."""
COMMA = re.compile(r",(?![^()]*\))")
"""Between selectors, and not inside of `:is()`."""
DARK = ".dark "
OUTSIDE = (".gradio-container", "html")
"""What a selector begins with that is never below the container."""


def scoped(css: str, version: str) -> str:
    """The rules of `css`, each with selectors that win over those of Gradio's components. `version`: Gradio's."""
    container = f".gradio-container.gradio-container-{version.replace('.', '-')} .contain "

    def both(found: re.Match[str]) -> str:
        if found["keyframes"]:
            return found[0]
        selectors = [selector.strip() for selector in COMMA.split(found["selectors"])]
        inside = [
            DARK + container + selector.removeprefix(DARK) if selector.startswith(DARK) else container + selector
            for selector in selectors
            if not selector.startswith(OUTSIDE)
        ]
        return f"\n{', '.join([*selectors, *inside])} {found['body']}"

    return RULE.sub(both, COMMENT.sub("", css))
