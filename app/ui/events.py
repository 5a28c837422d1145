"""The border between Gradio and the studio: what every event of the page and every named endpoint passes through.

Gradio hands a client's values on as they came, file paths and addresses included, prints what went wrong with them to
the log, and tells the client nothing. Here values are checked before Gradio looks at them, and errors are sentences.
"""

from __future__ import annotations

import html
import logging
from copy import copy
from functools import cached_property
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.i18n.language import ENGLISH, language, language_of, speaking
from app.i18n.texts import finished, in_language, mark, say
from app.ui.account import account_of
from app.ui.cache import FileCache
from app.ui.fields import field_id
from app.ui.progress import problem_html
from engines.errors import InvalidMedia, InvalidRequest, StudioError

log = logging.getLogger(__name__)

STATUS = "-status"
"""How the `elem_id` of a tab's line of status ends."""

UNEXPECTED = mark("Something went wrong inside the studio. The server's log tells more.")


class StudioBlocks(gr.Blocks):  # type: ignore[misc] # Gradio ships no types
    """Blocks whose events get checked values and end in a plain sentence when they fail."""

    def __init__(self, files: FileCache, **options: Any) -> None:
        super().__init__(**options)
        self._files = files

    async def process_api(self, block_fn: Any, inputs: list[Any], **options: Any) -> dict[str, Any]:
        """As Gradio's own, which every one of its routes ends in. Raises gr.Error only: where no line can say it."""
        with speaking(_language_for(block_fn, options["request"])):
            return await self._processed(block_fn, inputs, **options)

    async def _processed(self, block_fn: Any, inputs: list[Any], **options: Any) -> dict[str, Any]:
        try:
            # A generator's later rounds repeat the first one's inputs, which Gradio ignores then.
            if options.get("iterator") is None:
                inputs = await run_blocking(self._checked, block_fn, inputs, account_of(options["request"]))
            done: dict[str, Any] = await super().process_api(block_fn, inputs, **options)
            return done
        except gr.Error as error:
            # Gradio's own sentence about a component's value, which Gradio would print as well.
            return _told(block_fn, error.message, error)
        except StudioError as error:
            return _told(block_fn, str(error), error)
        except Exception as error:
            # The one broad catch of the page: Gradio would print the values and tell the client nothing.
            log.exception("the event %s failed", block_fn.api_name)
            return _told(block_fn, say(UNEXPECTED), error)

    async def postprocess_data(self, block_fn: Any, predictions: Any, state: Any) -> list[Any]:
        """As Gradio's own, at the cost of what changes alone: of a dictionary it makes every component anew that is not
        in it, with its whole configuration. A step of a picture changes 1 of 15, and the others took 70 ms of it.
        """
        changed = [output for output in block_fn.outputs if isinstance(predictions, dict) and output in predictions]
        if not changed:
            return await super().postprocess_data(block_fn, predictions, state)  # type: ignore[no-any-return]
        values = [predictions[output] for output in changed]
        part = copy(block_fn)
        part.outputs = changed
        done = await super().postprocess_data(part, values if len(values) > 1 else values[0], state)
        told = dict(zip(changed, done, strict=True))
        return [told.get(output, {"__type__": "update"}) for output in block_fn.outputs]

    @property
    def config(self) -> dict[str, Any]:
        """What the page is made of, in the language at hand. Gradio reads it for each page that it serves."""
        code = language()
        if code not in self._configs:
            english = self._configs[ENGLISH]
            self._configs[code] = {**english, "components": in_language(english["components"])}
        return self._configs[code]

    @config.setter
    def config(self, config: dict[str, Any]) -> None:
        self._configs = {ENGLISH: config}

    @cached_property
    def endpoints(self) -> dict[str, list[dict[str, Any]]]:
        """The parameters of each named endpoint in their order, as Gradio's clients are told of them."""
        named = self.get_api_info()["named_endpoints"]
        return {name.removeprefix("/"): endpoint["parameters"] for name, endpoint in named.items()}

    def in_order(self, endpoint: str, values: dict[str, Any]) -> list[Any]:
        """Values by name as the list of an endpoint's values. Raises InvalidRequest for a name that it lacks."""
        parameters = self.endpoints[endpoint]
        names = [parameter["parameter_name"] for parameter in parameters]
        for name in values.keys() - set(names):
            raise InvalidRequest(name, f"/{endpoint} has no parameter {name[:40]!r}. It has: {', '.join(names)}.")
        return [
            values[p["parameter_name"]] if p["parameter_name"] in values else _default(endpoint, p) for p in parameters
        ]

    def _checked(self, block_fn: Any, inputs: list[Any], account: str) -> list[Any]:
        """The values, whole in number, with only files that the account uploaded."""
        if _is_endpoint(block_fn):
            parameters = self.endpoints[block_fn.api_name]
            names = [parameter["parameter_name"] for parameter in parameters]
            if len(inputs) > len(names):
                takes = f"takes {len(names)} values ({', '.join(names)})" if names else "takes no values"
                raise InvalidRequest("data", f"/{block_fn.api_name} {takes}, and {len(inputs)} were sent.")
            inputs = inputs + [_default(block_fn.api_name, parameter) for parameter in parameters[len(inputs) :]]
            refusal = "{name} must be an uploaded file: handle_file(path) in gradio_client. Uploads are kept for a day."
        else:
            names = [in_language(getattr(block, "label", None)) or say("File") for block in block_fn.inputs]
            if len(inputs) != len(names):
                raise InvalidRequest("data", say("This page is older than the studio: reload it."))
            refusal = mark("{name}: the file is not here any more. Choose it again; uploads are kept for a day.")
        return [
            self._with_own_files(value, account, InvalidMedia(name, say(refusal, name=name)))
            for name, value in zip(names, inputs, strict=True)
        ]

    def _with_own_files(self, value: Any, account: str, refusal: InvalidMedia) -> Any:
        """The value, files in it reduced to what was checked. Raises `refusal` for one that is not the account's."""
        if isinstance(value, list):
            return [self._with_own_files(item, account, refusal) for item in value]
        if not isinstance(value, dict):
            return value
        if "path" not in value and "url" not in value:
            return {key: self._with_own_files(item, account, refusal) for key, item in value.items()}
        path = self._files.find(account, value.get("path"))
        if path is None:
            raise refusal
        orig_name = value.get("orig_name")
        # Made anew: an address in `url`, or a stream, would be opened by Gradio.
        return {
            "path": str(path),
            "orig_name": orig_name if isinstance(orig_name, str) and orig_name else path.name,
            "meta": {"_type": "gradio.FileData"},
        }


def _default(endpoint: str, parameter: dict[str, Any]) -> Any:
    if not parameter["parameter_has_default"]:
        name = parameter["parameter_name"]
        raise InvalidRequest(name, f"{name} is missing: /{endpoint} needs it.")
    return parameter["parameter_default"]


def _language_for(block_fn: Any, request: Any) -> str:
    """The page's events answer a person, the named endpoints programs."""
    return ENGLISH if _is_endpoint(block_fn) else language_of(request.request.headers)


def _is_endpoint(block_fn: Any) -> bool:
    return bool(block_fn.api_visibility == "public")


def _told(block_fn: Any, text: str, error: Exception) -> dict[str, Any]:
    """An answer that puts the text into the event's line of status. Raises gr.Error for an event that has none."""
    if _is_endpoint(block_fn):
        raise gr.Error(text, print_exception=False) from error
    text = finished(text)
    lines = [output for output in block_fn.outputs if (output.elem_id or "").endswith(STATUS)]
    if not lines:
        # A toast's text is rendered as HTML.
        escaped = html.escape(text, quote=False)
        raise gr.Error(escaped, print_exception=False, title=say("That did not work")) from error
    tab = lines[0].elem_id.removesuffix(STATUS)
    field = getattr(error, "field", None)
    line = problem_html(text, field_id(tab, field) if field else None)
    changes = {lines[0]: {"__type__": "update", "value": line}}
    data = [None if output.stateful else changes.get(output, {"__type__": "update"}) for output in block_fn.outputs]
    return {
        "data": data,
        "is_generating": False,
        "iterator": None,
        "duration": 0.0,
        "average_duration": None,
        "render_config": None,
        "changed_state_ids": [],
        "used_cache": None,
    }
