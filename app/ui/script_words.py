"""What the page's scripts say, by the names under which words.js knows it."""

from __future__ import annotations

from typing import Any

from app.i18n.catalogs import NESTED, by_length
from app.i18n.language import ENGLISH, language
from app.i18n.sentences import SENTENCES
from app.i18n.texts import mark, say, say_n

WORDS = {
    "unreachable": mark("The studio could not be reached. Try again in a moment."),
    "copied": mark("Copied."),
    "no_clipboard": mark("The browser does not let this page copy: select the text."),
    "no_speech": mark("No speech was found."),
    "cancel": mark("Cancel"),
    "thumbnail": mark("Thumbnail {n} of {total}"),
    # transcript.js
    "colon": mark(": "),
    "demo": mark("{engine} (demo model)"),
    "cloud": mark("{engine} on Cloud Run"),
    "recording": mark("Recording"),
    "transcript": mark("Transcript. Arrow keys move by word, Enter plays from there."),
    "underlined": mark("Underlined"),
    "corrected": mark("Corrected"),
    "corrected_how": mark("point at the word for what was heard"),
    "play_from": mark("Play from {time}"),
    "speaker": mark("Speaker {name}"),
    "not_kept": mark("The recording was not kept, so it cannot be played."),
    "position": mark("Position"),
    "play": mark("Play"),
    "pause": mark("Pause"),
    "back": mark("Back {n} seconds"),
    "speed": mark("Speed"),
    "time_of": mark("{time} of {total}"),
    "unplayable": mark("Your browser cannot play this kind of file."),
    "player": mark("Player"),
    "find": mark("Find"),
    "find_in": mark("Find in the transcript"),
    "previous": mark("Previous match"),
    "next": mark("Next match"),
    "edit": mark("Edit"),
    "save": mark("Save"),
    "copy": mark("Copy"),
    "show_mine": mark("Show my version"),
    "show_original": mark("Show original"),
    "discard": mark("Discard my version"),
    "follow": mark("Follow"),
    "download": mark("Download"),
    "sure": mark("{n} % sure"),
    "heard_as": mark("heard as “{words}”"),
    "match_of": mark("{n} of {total}"),
    "paragraph": mark("Paragraph at {time}"),
    "how_to_edit": mark(
        "Correct the text: what you leave keeps its times. Enter divides a paragraph, Backspace at its start joins it."
    ),
    "not_saved": mark("Your version of {file} was not saved. {problem}"),
    "saved": mark("Saved. The downloads have your version."),
    "discard_sure": mark("Discard your version of this transcript? The original stays."),
    "original_again": mark("This is the original again."),
    # live.js
    "record": mark("Record"),
    "starting": mark("Starting…"),
    "stop": mark("Stop · {time}"),
    "finishing": mark("Finishing…"),
    "mic_forbidden": mark(
        "The browser may not use the microphone. Allow it beside the address at the top, then press Record again."
    ),
    "mic_missing": mark("No microphone was found. Connect one, then press Record again; or upload a file."),
    "mic_busy": mark(
        "The microphone is in use by another program, or switched off. Close that program, then press Record again."
    ),
    "mic_other": mark("The microphone could not be opened ({name})."),
    "mic_gone": mark("The microphone was disconnected."),
    "live_refused": mark(
        "The studio did not answer. As many people may be recording as it can hear at once, or your log-in has ended: "
        "try again in a moment, or reload the page."
    ),
    "live_silent": mark("Nothing is heard. Is the microphone muted, or another one chosen?"),
    "live_lost": mark("The connection was lost. What was said before is kept."),
    "live_nothing": mark("No words were heard."),
    # presets.js
    "preset": mark("Preset"),
}

GRADIO = {
    "Click to upload or drop files": mark("Click to upload or drop files"),
    "Clear": mark("Clear"),
    "File thumbnail": mark("File"),
    "File upload": mark("Upload a file"),
    "Upload file": mark("Upload a file"),
    "common.upload": mark("Upload a file"),
    "Uploaded files": mark("Files"),
    "Uploading": mark("Uploading"),
    "Capture from camera": mark("Take a picture"),
    "Stop Recording": mark("Stop recording"),
    "Stop recording": mark("Stop recording"),
    "Paste from clipboard": mark("Paste from the clipboard"),
    "Remove file": mark("Remove this file"),
    "Remove this file": mark("Remove this file"),
    "View full screen": mark("View full screen"),
    "More tabs": mark("More tabs"),
    "Gradio footer navigation": mark("Footer"),
    "Nothing here yet": mark("Nothing here yet"),
}
"""Names of Gradio's buttons and boxes that it has in English only, or not at all; language.js mends them."""


def script_words() -> dict[str, Any]:
    """In the language at hand: texts by name, each a text or its forms for one and for several; and the sentences that
    scripts get from routes in English, with what they are in this language. None in English itself."""
    unsure = [
        say_n("the model was not sure ({n} word)", "the model was not sure ({n} words)", n, n="{n}") for n in (1, 2)
    ]
    texts = {**{name: say(text) for name, text in WORDS.items()}, "unsure": unsure}
    english = language() == ENGLISH
    sentences = {} if english else {text: say(text) for text in by_length(SENTENCES)}
    gradio = {} if english else {theirs: say(ours) for theirs, ours in GRADIO.items()}
    return {"texts": texts, "sentences": sentences, "nested": sorted(NESTED), "gradio": gradio}
