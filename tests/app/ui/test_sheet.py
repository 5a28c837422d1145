"""Our style sheet wins over Gradio's components, whatever its rules look like."""

from __future__ import annotations

import pytest

from app.ui.sheet import scoped

INSIDE = ".gradio-container.gradio-container-6-31-0 .contain "


@pytest.mark.parametrize(
    ("rule", "selectors"),
    [
        (".a { color: red; }", [".a", f"{INSIDE}.a"]),
        (".a, .b > i { color: red; }", [".a", ".b > i", f"{INSIDE}.a", f"{INSIDE}.b > i"]),
        (".dark .a { color: red; }", [".dark .a", f".dark {INSIDE}.a"]),
        (":is(input, select) { color: red; }", [":is(input, select)", f"{INSIDE}:is(input, select)"]),
        ("html.offline .a { color: red; }", ["html.offline .a"]),
        (".gradio-container .a { color: red; }", [".gradio-container .a"]),
    ],
)
def test_each_rule_is_there_for_inside_of_the_container_too(rule: str, selectors: list[str]) -> None:
    assert scoped(rule, "6.31.0").strip() == ", ".join(selectors) + " { color: red; }"


def test_rules_of_a_media_query_stay_in_it() -> None:
    css = "@media (max-width: 760px) {\n  .a { color: red; }\n  .b { color: blue; }\n}\n.c { color: green; }"
    made = " ".join(scoped(css, "6.31.0").split())
    assert made == (
        f"@media (max-width: 760px) {{ .a, {INSIDE}.a {{ color: red; }} .b, {INSIDE}.b {{ color: blue; }} }} "
        f".c, {INSIDE}.c {{ color: green; }}"
    )


def test_keyframes_and_declarations_are_left_as_they_are() -> None:
    frames = "@keyframes slide { from { top: 0; } to { top: 9px; } }"
    assert scoped(f"/* .a {{ }} */{frames}", "6.31.0") == frames
