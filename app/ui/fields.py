"""Which box of the page a request's field is in."""

from __future__ import annotations

SHORT = {
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "negative_prompt": "negative",
    "photo_strength": "strength",
    "audio": "file",
}
"""Where the box is not called like the field."""


def field_id(tab: str, field: str) -> str:
    """The `elem_id` of the box, on this tab of the page."""
    return f"{tab}-{SHORT.get(field, field)}"
