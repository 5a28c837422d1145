r"""Several prompts in one text: each line is one, and `{a|b}` is one with each of its alternatives.

Braces may be nested; an alternative may be empty. `\{`, `\}`, `\|` and a `\` at the end of a line stand for the
character itself. Braces without a `|` inside are text like any other.
"""

from __future__ import annotations

from itertools import islice, product

from engines.errors import InvalidRequest

MAX_PROMPTS = 16
"""Most prompts of one text. Each becomes a job: more of them belong into a program."""

MAX_DEPTH = 8

ESCAPED = "{}|\n"

Sequence = list["str | list[Sequence]"]
"""Pieces of text, and choices: lists of alternatives."""

Choice = list[Sequence]


def expand(text: str) -> tuple[str, ...]:
    """The prompts that the text stands for, in order, each once; the text itself where it is blank.

    Raises InvalidRequest for more than MAX_PROMPTS, and for braces that are not closed.
    """
    # One more than there may be tells that there are too many; all of them might be more than fit into memory.
    room = MAX_PROMPTS + 1
    found = [prompt for line in _lines(text) for prompt in _texts(_parsed(line), room)]
    if len(found) > MAX_PROMPTS:
        raise InvalidRequest(
            "prompt",
            f"Prompt stands for more than {MAX_PROMPTS} prompts: use fewer lines or fewer alternatives in braces.",
        )
    return tuple(dict.fromkeys(prompt.strip() for prompt in found if prompt.strip())) or (text,)


def escaped(prompt: str) -> str:
    """A text that stands for exactly this prompt."""
    return "".join(f"\\{char}" if char in "{}\n" else char for char in prompt)


def _lines(text: str) -> list[str]:
    """The lines; one that ends with a backslash goes on in the next."""
    lines = [""]
    for line in text.replace("\r\n", "\n").split("\n"):
        lines[-1] += line
        if line.endswith("\\"):
            lines[-1] += "\n"
        else:
            lines.append("")
    return [line for line in lines if line.strip()]


def _parsed(line: str) -> Sequence:
    """Raises InvalidRequest for a brace that is not closed, and for braces nested too deep."""
    open_choices: list[Choice] = []
    top: Sequence = []
    here = top
    chars = iter(range(len(line)))
    for at in chars:
        char, following = line[at], line[at + 1 : at + 2]
        if char == "\\" and following and following in ESCAPED:
            here.append(following)
            next(chars)
        elif char == "{":
            if len(open_choices) == MAX_DEPTH:
                raise InvalidRequest("prompt", f"Prompt has braces nested more than {MAX_DEPTH} deep: use fewer.")
            choice: Choice = [[]]
            here.append(choice)
            open_choices.append(choice)
            here = choice[0]
        elif char == "|" and open_choices:
            open_choices[-1].append([])
            here = open_choices[-1][-1]
        elif char == "}" and open_choices:
            choice = open_choices.pop()
            here = open_choices[-1][-1] if open_choices else top
            if len(choice) == 1:
                here[-1:] = ["{", *choice[0], "}"]
        else:
            here.append(char)
    if open_choices:
        raise InvalidRequest("prompt", "Prompt has a { without its }: close it, or write \\{ for the brace itself.")
    return top


def _texts(sequence: Sequence, room: int) -> list[str]:
    """The first `room` texts that the sequence stands for; the last choice changes first."""
    # Of each choice the first `room` suffice, since the first `room` of all have no others.
    options = [[piece] if isinstance(piece, str) else _alternatives(piece, room) for piece in sequence]
    return ["".join(pieces) for pieces in islice(product(*options), room)]


def _alternatives(choice: Choice, room: int) -> list[str]:
    return list(dict.fromkeys(text for sequence in choice for text in _texts(sequence, room)))[:room]
