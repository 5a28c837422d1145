"""The border between Gradio and the studio: what every event of the page and every named endpoint passes through.

Gradio hands a client's values on as they came, file paths and addresses included, prints what went wrong with them to
the log, and tells the client nothing. Here values are checked before Gradio looks at them, and errors are sentences.
"""

from __future__ import annotations

import html
import logging
from functools import cached_property
from typing import Any

import gradio as gr

from app.concurrency import run_blocking
from app.ui.account import account_of
from app.ui.cache import FileCache
from engines.errors import InvalidMedia, InvalidRequest, StudioError

log = logging.getLogger(__name__)

UNEXPECTED = "Something went wrong inside the studio. The server's log tells more."


class StudioBlocks(gr.Blocks):  # type: ignore[misc] # Gradio ships no types
    """Blocks whose events get checked values and end in a plain sentence when they fail."""

    def __init__(self, files: FileCache, **options: Any) -> None:
        super().__init__(**options)
        self._files = files

    async def process_api(self, block_fn: Any, inputs: list[Any], **options: Any) -> dict[str, Any]:
        """As Gradio's own, which every one of its routes ends in. Raises gr.Error only."""
        show = _plain if _is_endpoint(block_fn) else _toast
        try:
            # A generator's later rounds repeat the first one's inputs, which Gradio ignores then.
            if options.get("iterator") is None:
                inputs = await run_blocking(self._checked, block_fn, inputs, account_of(options["request"]))
            done: dict[str, Any] = await super().process_api(block_fn, inputs, **options)
            return done
        except gr.Error as error:
            # Gradio's own sentence about a component's value, which Gradio would print as well.
            raise show(error.message) from error
        except StudioError as error:
            raise show(str(error)) from error
        except Exception as error:
            # The one broad catch of the page: Gradio would print the values and tell the client nothing.
            log.exception("the event %s failed", block_fn.api_name)
            raise show(UNEXPECTED) from error

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
            refusal = "{} must be an uploaded file: handle_file(path) in gradio_client. Uploads are kept for a day."
        else:
            names = [getattr(block, "label", None) or "File" for block in block_fn.inputs]
            if len(inputs) != len(names):
                raise InvalidRequest("data", "This page is older than the studio: reload it.")
            refusal = "{}: the file is not here any more. Choose it again; uploads are kept for a day."
        return [
            self._with_own_files(value, account, InvalidMedia(name, refusal.format(name)))
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


def _is_endpoint(block_fn: Any) -> bool:
    return bool(block_fn.api_visibility == "public")


def _plain(text: str) -> gr.Error:
    """For clients of the named endpoints: the text as it is."""
    return gr.Error(text, print_exception=False)


def _toast(text: str) -> gr.Error:
    """For the page, which renders a toast's text as HTML."""
    return gr.Error(html.escape(text, quote=False), print_exception=False, title="That did not work")
