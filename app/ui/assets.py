"""Files that the page is made of: Gradio's build, less what this page never uses, and our own beside it.

Gradio's build is some 900 small files, of which a browser finds out bit by bit which ones a page needs: each step waits
for the one before. Here the page is told at once (`modules`), its style sheets are one file, and every file is
compressed once and may be kept by browsers for good: the folder's name changes with what is in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from mimetypes import guess_type
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response

SHEET = "page.css"

FOR_GOOD = "private, max-age=31536000, immutable"
"""Not for caches that people share: where tokens are wanted, nothing is served without one."""

QUALITY = 5
"""Of brotli's 0 to 11. All that a page loads takes 40 ms of a core, once in a run; with 11, 2 s for a tenth less."""

SMALL = 400
"""Bytes. Less is sent as it is."""

UNUSED = {
    # For films that are sent in pieces, 156 kB: the gallery brings it along for a film that it might show.
    r"hls-[\w-]+\.js": "const none=()=>false;export{none as n,none as r,none as t};",
}
"""Gradio's files that are answered with less, by what their names match."""

MENDED = {
    # A name is not read out for what has no role.
    'aria-label="Empty value"': 'role="img" aria-label="Nothing here yet"',
    # No language of Gradio's has a text of this name, which a list of chosen files shows as it is.
    "`common.upload`": "`upload_text.click_to_upload`",
    # A button inside of a button, which is no place to press for who hears the page; drop.js hears the outer one.
    "icon_upload:!0,": "icon_upload:!0,container_element:`div`,",
    # A name for each radio button, and another whenever it is chosen: an arrow key that came before keys.js had named
    # it as its group went nowhere.
    "k(m,`name`,`radio-${++R??``}`),": "",
    # To look up one language among all that a browser knows takes 14 ms; any browser knows the page's.
    "var t=Intl.NumberFormat.supportedLocalesOf(e);return t.length>0?new Intl.Locale(t[0]):new Intl.Locale(": (
        "return new Intl.Locale("
    ),
    # Time that is shown nowhere here, counted in every frame: of an overlay while its event runs, and of "Loading" from
    # the page's first moment to its last, since what is taken away goes on counting.
    "W&&ze()": "void 0",
    # Walks over all components, for each value that an event takes along and for each pair of a component and an event,
    # took a fifth of the time in which the page opens. They are made once now.
    "function Z(e,t){if(e.id===t)return e;": (
        "function Z(e,t){let m=(Z.m??=new WeakMap).get(e);m||Z.m.set(e,m=new Map);let n=m.get(t)??ZZ(e,t);"
        "n&&m.set(t,n);return n}function ZZ(e,t){if(e.id===t)return e;"
    ),
    "for(let n of e.children){let e=Z(n,t);if(e)return e}return null}function Ie": (
        "for(let n of e.children){let e=ZZ(n,t);if(e)return e}return null}function Ie"
    ),
    "let n=t.filter(t=>t.targets.find(([t])=>t===e.id)).map(t=>{let n=t.targets.find(([t])=>t===e.id);"
    "return n?n[1]:null}).filter(Boolean);": (
        "let m=(Z.e??=new WeakMap).get(t);if(!m){Z.e.set(t,m={});for(let{targets:n}of t)"
        "for(let[e,t]of new Map([...n].reverse()))t&&(m[e]??=[]).push(t)}let n=m[e.id]??[];"
    ),
}
"""Words in Gradio's scripts, and what is sent instead."""

LISTED = re.compile(r"\(m\.f=\[(.*?)\]\)")
"""The list of files that one of Gradio's scripts may load later; `__vite__mapDeps` picks from it by number."""
IMPORTED = re.compile(r'(?:from|import)"\./([\w.-]+\.js)"')
LATER = re.compile(r"import\(`\./((?:Index|Blocks)-[\w-]+\.js)`\)[^`]{0,60}?,__vite__mapDeps\(\[([\d,]*)\]\)")
"""What the first script loads, and what that loads: the whole of the page but its components."""
COMPONENT = re.compile(
    r"[,{](\w+):\{(?:(?![,{]\w+:\{).)*?component:\(\)=>\w+\(\(\)=>import\(`\./([\w.-]+)`\)[^`]*?__vite__mapDeps\(\[([\d,]*)\]\)"
)


class Assets:
    """The files of a page with components of the given types. `build`: Gradio's `templates/frontend`; `own`: files of
    ours, by name, of which the style sheet comes behind Gradio's.

    Raises LookupError if this build is not laid out as Gradio 6.31's is.
    """

    def __init__(self, build: Path, types: Iterable[str], own: Mapping[str, bytes]) -> None:
        self._folder = build / "assets"
        self._own = own
        self._compressed: dict[str, bytes] = {}
        self.entry, self.entry_sheet = _entry(build)
        self.modules, self._sheets = self._closure(set(types))
        digest = hashlib.sha256()
        for name in (*self.modules, *self._sheets):
            digest.update((self._folder / name).read_bytes())
        for content in own.values():
            digest.update(content)
        digest.update(repr((UNUSED, MENDED)).encode())
        self.prefix = f"assets/{digest.hexdigest()[:12]}"
        """Where the files are, below the page's own address."""

    def address(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def read(self, name: str) -> bytes | None:
        """The file as browsers get it; None if there is none of this name."""
        for pattern, instead in UNUSED.items():
            if re.fullmatch(pattern, name):
                return instead.encode()
        if name == SHEET:
            sheets = [(self._folder / sheet).read_bytes() for sheet in self._sheets]
            return b"\n".join([*sheets, self._own.get(SHEET, b"")])
        if name in self._own:
            return self._own[name]
        if not re.fullmatch(r"[\w.-]+", name) or not (self._folder / name).is_file():
            return None
        content = (self._folder / name).read_bytes()
        return self._mended(content.decode()).encode() if name.endswith(".js") else content

    def answer(self, name: str, headers: Headers) -> Response | None:
        """The answer to a request with these headers for the file; None if there is none. Reads files."""
        brotli = "br" in (part.split(";")[0].strip() for part in headers.get("accept-encoding", "").split(","))
        # A page asks for ninety files: what is compressed is not read and mended again.
        content = self._compressed.get(name) if brotli else None
        if content is None:
            content = self.read(name)
            if content is None:
                return None
            if not _shrinks(name, content):
                return Response(content, headers={"Cache-Control": FOR_GOOD}, media_type=_kind(name))
            if brotli:
                content = self._compressed[name] = _compress(content)
        told = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"} | ({"Content-Encoding": "br"} if brotli else {})
        return Response(content, headers=told, media_type=_kind(name))

    def _closure(self, types: set[str]) -> tuple[list[str], list[str]]:
        """Scripts and style sheets of the page, in the order in which Gradio would come to them."""
        modules, sheets = [self.entry], [self.entry_sheet]
        components: set[str] = set()
        waiting = [self.entry]
        while waiting:
            name = waiting.pop(0)
            text = (self._folder / name).read_text(encoding="utf-8")
            listed = [part.strip('"./') for part in "".join(LISTED.findall(text)).split(",")]
            begins = "Index-" if name == self.entry else "Blocks-"
            picked = [(name, numbers) for name, numbers in LATER.findall(text) if name.startswith(begins)]
            for kind, name, numbers in COMPONENT.findall(text):
                if kind in types:
                    components.add(kind)
                    picked.append((name, numbers))
            found = IMPORTED.findall(text)
            for name, numbers in picked:
                found += [name, *(listed[int(number)] for number in numbers.split(",") if number)]
            for name in found:
                known = sheets if name.endswith(".css") else modules
                if name not in known:
                    known.append(name)
                    if known is modules:
                        waiting.append(name)
        if not components or len(sheets) < len(components):
            raise LookupError("Gradio's build is laid out in another way than Gradio 6.31's: see app/ui/assets.py.")
        return modules, sheets

    def _mended(self, script: str) -> str:
        """The script, which takes each of the page's style sheets for the one that holds them all."""
        for words, better in MENDED.items():
            script = script.replace(words, better)
        script = script.replace(f"./assets/{self.entry_sheet}", f"./{self.prefix}/{SHEET}")

        def one(found: re.Match[str]) -> str:
            names = [name.strip('"./') for name in found[1].split(",")]
            return "(m.f=[" + ",".join(f'"./{SHEET if name in self._sheets else name}"' for name in names) + "])"

        return LISTED.sub(one, script)


def _entry(build: Path) -> tuple[str, str]:
    """The script and the style sheet that Gradio's page begins with."""
    page = (build / "index.html").read_text(encoding="utf-8")
    script = re.search(r'<script type="module" crossorigin src="\./assets/([\w.-]+)">', page)
    sheet = re.search(r'<link rel="stylesheet" crossorigin href="\./assets/([\w.-]+)">', page)
    if script is None or sheet is None:
        raise LookupError("Gradio's page begins in another way than Gradio 6.31's: see app/ui/assets.py.")
    return script[1], sheet[1]


def _kind(name: str) -> str:
    return "text/javascript" if name.endswith(".js") else guess_type(name)[0] or "application/octet-stream"


def _shrinks(name: str, content: bytes) -> bool:
    return len(content) > SMALL and (_kind(name).startswith("text/") or name.endswith((".svg", ".json")))


def _compress(content: bytes) -> bytes:
    import brotli

    compressed: bytes = brotli.compress(content, quality=QUALITY)
    return compressed
