"""A model's n-gram language model in a form that is walked faster: `python -m engines.speech.ngram FILE DESCRIPTOR`.

Vosk's small models bring it as graph/Gr.fst in OpenFst's type "ngram", a trie of contexts in so few bits (LOUDS) that
each arc is found by counting them anew. While speech is decoded this takes a fifth of all computing. The same automaton
with its arcs written out (OpenFst's type "const") is read by Vosk as it is, and gives the same words, times and
confidences.

The layout is that of openfst/src/include/fst/extensions/ngram/ngram-fst.h and fst/const-fst.h (both Apache-2.0).
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engines.child import ROOT

if TYPE_CHECKING:
    import numpy as np

    Ints = np.ndarray[Any, np.dtype[np.int64]]

GRAPH = Path("graph", "Gr.fst")

WORTH_WHILE, TOO_LARGE = 1_000_000, 150_000_000
"""Bytes. A smaller one is walked in no time, and numpy takes a tenth of a second to import. The conversion takes seven
times the file's size in memory, for a second or three."""

CONVERSION_SECONDS = 60.0

MAGIC = 2125659606
BEGINNING = struct.pack("<ii5s", MAGIC, 5, b"ngram")
CONST_BEGINNING = struct.pack("<ii5s", MAGIC, 5, b"const")
ARC_TYPE = b"standard"
HEADER = struct.Struct("<i8siiQqqq")
"""Behind the beginning: the arc type and its length, version, flags, properties, start, numbers of states and arcs."""
COUNTS = struct.Struct("<QQQ")
"""Of states, words that follow, and final states."""
NGRAM_VERSION = 4
CONST_VERSION = 2
"""Without padding between its parts."""
EXPANDED = 1
"""The property of an automaton that knows how many states it has."""
SYMBOLS = 3
"""The flags of a header that symbol tables come after."""


class NotConvertible(Exception):
    """The file is of another kind or version, or not whole. Vosk itself judges it."""


@contextlib.contextmanager
def with_fast_graph(model_folder: Path) -> Iterator[Path]:
    """The folder to load a model from: the same files, but for a language model that is faster to walk. As it is where
    there is nothing to convert, and where that cannot be done: then decoding takes longer, and nothing else changes."""
    if sys.platform != "linux" or not worth_converting(model_folder):
        yield model_folder
        return
    with contextlib.ExitStack() as opened:
        yield _converted(model_folder, opened) or model_folder


def worth_converting(model_folder: Path) -> bool:
    """Whether the model has a language model in the compact form, of a size to gain by."""
    graph = model_folder / GRAPH
    if not graph.is_file() or not WORTH_WHILE <= graph.stat().st_size <= TOO_LARGE:
        return False
    with graph.open("rb") as file:
        return file.read(len(BEGINNING)) == BEGINNING


def _converted(model_folder: Path, opened: contextlib.ExitStack) -> Path | None:
    try:
        # A file without a name: nothing is left of it whatever ends this process.
        file = os.memfd_create("Gr.fst", 0)
        opened.callback(os.close, file)
        # In another process, whose memory is given back: this one's is shared by all that is forked from it.
        command = [sys.executable, "-P", "-m", "engines.speech.ngram", str(model_folder / GRAPH), str(file)]
        subprocess.run(
            command,
            pass_fds=[file],
            check=True,
            timeout=CONVERSION_SECONDS,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": ROOT},
        )
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="carrot-model-")))
        _link_all(model_folder, folder)
        _link_all(model_folder / "graph", folder / "graph")
        (folder / GRAPH).unlink()
        (folder / GRAPH).symlink_to(f"/proc/{os.getpid()}/fd/{file}")
        with (folder / GRAPH).open("rb") as again:
            if again.read(len(CONST_BEGINNING)) != CONST_BEGINNING:
                raise OSError("This system does not open a file of /proc again.")
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"The speech model's graph stays as it is, which is slower: {type(error).__name__}\n")
        return None
    return folder


def _link_all(source: Path, folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(exist_ok=True)
    for entry in source.iterdir():
        (folder / entry.name).symlink_to(entry)


@dataclass(frozen=True, slots=True)
class Header:
    """What an OpenFst file begins with, and the `symbols` behind it."""

    properties: int
    flags: int
    start: int
    states: int
    symbols: bytes


@dataclass(frozen=True, slots=True)
class Trie:
    """The contexts, one a state. The first is the empty one, and each one's number is greater than its parent's."""

    parent: Ints
    """Of each: the context without its oldest word."""
    word: Ints
    """Of each: its oldest word."""
    backoff: Any
    final: Any
    """Weights of each state."""
    count: Ints
    """How many words follow each."""
    next_word: Ints
    next_weight: Any
    """Of all that follow, state by state, in the order of words."""


def convert_in_place(model_folder: Path) -> None:
    """So that nothing is left to do when the model is loaded. Raises NotConvertible, OSError."""
    if worth_converting(model_folder):
        parts = convert((model_folder / GRAPH).read_bytes())
        (model_folder / GRAPH).write_bytes(b"".join(parts))


def convert(data: bytes) -> list[bytes]:
    """An "ngram" file as parts of a "const" one. Raises NotConvertible."""
    try:
        header, trie = _read(data)
    except (struct.error, ValueError, IndexError) as error:
        raise NotConvertible from error
    return _const(header, trie, _destinations(trie))


def _read(data: bytes) -> tuple[Header, Trie]:
    import numpy as np

    _, arc_type, version, flags, properties, start, states, _ = HEADER.unpack_from(data, len(BEGINNING))
    if (data[: len(BEGINNING)], arc_type, version) != (BEGINNING, ARC_TYPE, NGRAM_VERSION):
        raise NotConvertible
    symbols_at = len(BEGINNING) + HEADER.size
    at = _behind_symbols(data, symbols_at, states)
    contexts, futures, finals = COUNTS.unpack_from(data, at)
    at += COUNTS.size
    header = Header(properties, flags & SYMBOLS, start, states, data[symbols_at : at - COUNTS.size])

    def bits(count: int) -> Any:
        return np.unpackbits(array("u1", -(-count // 64) * 8), bitorder="little")[:count]

    def array(kind: str, count: int) -> Any:
        nonlocal at
        found = np.frombuffer(data, kind, count, at)
        at += found.nbytes
        return found

    tree, following, ends = bits(2 * contexts + 1), bits(futures + contexts + 1), bits(contexts)
    words, next_word = array("<i4", contexts + 1), array("<i4", futures)
    backoff, final, weight = array("<f4", contexts + 1), array("<f4", finals), array("<f4", futures)
    # A one for each context, and a zero behind the children of each.
    nodes = np.flatnonzero(tree)
    counts = np.diff(np.flatnonzero(following == 0)) - 1
    whole = len(nodes) == contexts and len(counts) == contexts and counts.sum() == futures and ends.sum() == finals
    if not whole:
        raise NotConvertible
    weights = np.full(contexts, np.inf, "<f4")
    weights[ends == 1] = final
    parent = nodes - np.arange(contexts) - 1
    return header, Trie(parent, words[:contexts].astype(np.int64), backoff, weights, counts, next_word, weight)


def _behind_symbols(data: bytes, at: int, states: int) -> int:
    """Where the trie begins. Symbol tables take long to read: it is where the number of states stands, and two more
    numbers with which the sizes of its parts add up to the rest of the file."""
    while (at := data.find(struct.pack("<Q", states), at)) >= 0:
        _, futures, finals = COUNTS.unpack_from(data, at)
        words = sum(-(-bits // 64) for bits in (2 * states + 1, futures + states + 1, states))
        # Three of the arrays are longer by one than what is in them.
        if len(data) - at == COUNTS.size + 8 * words + 4 * (2 * (states + 1) + 2 * futures + 1 + finals):
            return at
        at += 1
    raise NotConvertible


def _destinations(trie: Trie) -> Ints:
    """The state that each following word leads to: the longest context that there is of it and the words before."""
    import numpy as np

    states = len(trie.parent)
    parent = np.maximum(trie.parent, 0)
    size = int(max(trie.word.max(), trie.next_word.max(initial=0))) + 1
    keys = trie.parent * size + trie.word
    # In the order of numbers, parents are in order already, and the words of each one's children too.
    if not (np.diff(keys[1:]) > 0).all():
        raise NotConvertible

    def child(of: Ints, word: Ints) -> Ints:
        """The child of each with the word; 0 where there is none."""
        wanted = of * size + word
        place = np.minimum(np.searchsorted(keys[1:], wanted), states - 2) + 1
        return np.where(keys[place] == wanted, place, 0)

    # The words of each context, the newest first: what is above it, and then its own.
    above: list[Ints] = []
    node = np.arange(states)
    while node.any():
        above.append(node)
        node = parent[node]
    depth = sum((level != 0).astype(np.int64) for level in above)
    source = np.repeat(np.arange(states), trie.count)
    found = child(np.zeros(len(source), np.int64), trie.next_word.astype(np.int64))
    open_ones = np.flatnonzero(found)
    for newest in range(len(above)):
        left = depth[source[open_ones]] - 1 - newest
        open_ones, left = open_ones[left >= 0], left[left >= 0]
        ancestors = np.stack(above)[left, source[open_ones]]
        deeper = child(found[open_ones], trie.word[ancestors])
        found[open_ones[deeper > 0]] = deeper[deeper > 0]
        open_ones = open_ones[deeper > 0]
    return found


def _const(header: Header, trie: Trie, destinations: Ints) -> list[bytes]:
    import numpy as np

    states = len(trie.parent)
    backs_off = np.arange(states) > 0
    counts = trie.count + backs_off
    first = np.concatenate([[0], np.cumsum(counts)])
    arcs = np.zeros(first[-1], [("input", "<i4"), ("output", "<i4"), ("weight", "<f4"), ("next", "<i4")])
    own = np.ones(len(arcs), bool)
    own[first[1:-1]] = False
    arcs["input"][own] = arcs["output"][own] = trie.next_word
    arcs["weight"][own], arcs["next"][own] = trie.next_weight, destinations
    # The first of a state's arcs, with no word, forgets the oldest one of its context.
    arcs["weight"][~own], arcs["next"][~own] = trie.backoff[1:states], trie.parent[1:]
    table = np.zeros(
        states, [("final", "<f4"), ("first", "<u4"), ("count", "<u4"), ("input_empty", "<u4"), ("output_empty", "<u4")]
    )
    table["final"], table["first"], table["count"] = trie.final, first[:-1], counts
    table["input_empty"] = table["output_empty"] = backs_off
    numbers = (CONST_VERSION, header.flags, header.properties | EXPANDED, header.start, header.states, len(arcs))
    beginning = CONST_BEGINNING + HEADER.pack(len(ARC_TYPE), ARC_TYPE, *numbers) + header.symbols
    return [beginning, table.tobytes(), arcs.tobytes()]


def main(source: str, descriptor: str) -> None:
    """Convert the file; status 1 if it cannot be."""
    try:
        parts = convert(Path(source).read_bytes())
    except NotConvertible:
        raise SystemExit(1) from None
    with os.fdopen(int(descriptor), "wb") as out:
        out.writelines(parts)


if __name__ == "__main__":
    main(*sys.argv[1:])
