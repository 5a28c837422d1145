"""One picture's call as code that makes the same picture again, for whoever builds the studio into a program.

A token is never in it: it is read from STUDIO_TOKEN, and YOUR_TOKEN stands where that is not set.
"""

from __future__ import annotations

import json
import pprint
from dataclasses import dataclass
from string import Template
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel

from app.work.background import KEEP
from app.work.image import Picture

NOT_SENT = {"photo", "photo_sha256", "post_id", "count", "seed"}
"""Files are sent beside the request, a post is not to be changed by a copy, and the rest is filled in below."""

CURL = Template("""\
STUDIO='$base'
STUDIO_TOKEN="$${STUDIO_TOKEN:-YOUR_TOKEN}"
auth="Authorization: Bearer $$STUDIO_TOKEN"
job=$$(curl -sf "$$STUDIO/jobs$upload" -H "$$auth" $send <<'JSON'
$body
JSON
)
id=$$(printf '%s' "$$job" | sed -E 's/.*"job_id": ?"([^"]+)".*/\\1/')
curl -sfN "$$STUDIO/jobs/$$id/events" -H "$$auth" > /dev/null  # ends when the picture is there
curl -sf "$$STUDIO/files/$$id-0$added" -H "$$auth" -o picture.png
""")

PYTHON = Template("""\
$imports

studio = httpx.Client(
    base_url="$base",
    headers={"Authorization": f"Bearer {os.environ.get('STUDIO_TOKEN') or 'YOUR_TOKEN'}"},
    timeout=None,
)
body = $body
$send
with studio.stream("GET", job["events_url"]) as events:  # ends when the picture is there
    events.read()
done = studio.get(job["status_url"]).raise_for_status().json()
picture = studio.get(done["files"][0]["url"]$added).raise_for_status().content
with open("picture.png", "wb") as file:
    file.write(picture)
""")

TYPESCRIPT = Template("""\
import { $functions } from "node:fs/promises";

const studio = process.env.VAST_AI_URL ?? "$base";
const headers = { Authorization: `Bearer $${process.env.STUDIO_TOKEN || "YOUR_TOKEN"}` };

async function call(url: string, init: RequestInit = {}) {
  const answer = await fetch(url, { ...init, headers: { ...headers, ...init.headers } });
  if (!answer.ok) throw new Error(await answer.text());
  return answer;
}

const body = $body;
$send
await (await call(job.events_url)).text(); // ends when the picture is there
const done = await (await call(job.status_url)).json();
const picture = await (await call(done.files[0].url$added)).arrayBuffer();
await writeFile("picture.png", Buffer.from(picture));
""")

PYTHON_JSON = """job = studio.post("/jobs", json=body).raise_for_status().json()"""
PYTHON_PHOTO = """\
with open("photo.png", "rb") as photo:  # the one that the picture started from
    sent = studio.post("/jobs/upload", data={"job": json.dumps(body)}, files={"photo": photo})
job = sent.raise_for_status().json()"""

TYPESCRIPT_JSON = """\
const sent = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
const job = await (await call(`${studio}/jobs`, sent)).json();"""
TYPESCRIPT_PHOTO = """\
const form = new FormData();
form.append("job", JSON.stringify(body));
form.append("photo", new Blob([await readFile("photo.png")]), "photo.png"); // the one that the picture started from
const job = await (await call(`${studio}/jobs/upload`, { method: "POST", body: form })).json();"""


@dataclass(frozen=True, slots=True)
class Snippet:
    """Code in one language, under the name that people know it by."""

    language: str
    code: str
    added: str = ""
    """The part of it that is there for the sake of another background than was drawn."""


def snippets(
    kind: str, request: BaseModel, picture: Picture, base_url: str, background: str = KEEP
) -> tuple[Snippet, ...]:
    """The call that makes this picture of a job's request again. `base_url`: the studio's; it may end with a slash.
    `background`: as `/files/{id}` takes it."""
    body = body_of(kind, request, picture)
    base, photo = base_url.rstrip("/"), picture.recipe.photo_sha256 is not None
    text = json.dumps(body, indent=2, ensure_ascii=False)
    curl_form = "-F 'job=<-' -F photo=@photo.png"
    query = "" if background == KEEP else f"?{urlencode({'background': background})}"
    joined = f' + "{query}"' if query else ""
    return (
        Snippet(
            "curl",
            CURL.substitute(
                base=base,
                body=text,
                upload="/upload" if photo else "",
                send=curl_form if photo else "-H 'Content-Type: application/json' -d @-",
                added=query,
            ),
            query,
        ),
        Snippet(
            "Python",
            PYTHON.substitute(
                imports=f"{'import json' if photo else ''}\nimport os\n\nimport httpx".strip(),
                base=base,
                body=pprint.pformat(body, width=96, sort_dicts=False),
                send=PYTHON_PHOTO if photo else PYTHON_JSON,
                added=joined,
            ),
            joined,
        ),
        Snippet(
            "TypeScript",
            TYPESCRIPT.substitute(
                functions="readFile, writeFile" if photo else "writeFile",
                base=base,
                body=text,
                send=TYPESCRIPT_PHOTO if photo else TYPESCRIPT_JSON,
                added=joined,
            ),
            joined,
        ),
        Snippet("JSON", f"{text}\n"),
    )


def body_of(kind: str, request: BaseModel, picture: Picture) -> dict[str, Any]:
    """What POST /jobs takes: as it was sent, for this one picture's seed; defaults left out."""
    sent = request.model_dump(mode="json", exclude_defaults=True, exclude=NOT_SENT)
    # The first preset, which was taken where none was named, may be another one some day.
    preset = {"preset": picture.recipe.preset} if picture.recipe.preset else {}
    return {"kind": kind, "request": {**preset, **sent, "seed": picture.seed}}
