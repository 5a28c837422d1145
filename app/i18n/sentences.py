"""Sentences that reach the page finished, in English and with their values in them.

An error may come from a job's record, from another process or from Cloud Run, and programs get it as it is. So nothing
below the page says it in another language: the page knows it by its English text. A test compares these with the
sources; one that is in no catalog is shown in English, and marked as that.

The values of `{field}`, `{wanted}`, `{reason}` and `{label}` are such texts themselves; other values stay as they are.
"""

from __future__ import annotations

from app.i18n.mark import mark

FIELDS = (
    mark("Prompt"),
    mark("Negative prompt"),
    mark("Width"),
    mark("Height"),
    mark("Steps"),
    mark("Guidance"),
    mark("Sampler"),
    mark("Seed"),
    mark("Count"),
    mark("Photo strength"),
    mark("Language"),
    mark("Title of the post"),
    mark("Summary"),
    mark("Aspect"),
    mark("Preset"),
    mark("Vocabulary"),
    mark("Speakers"),
)
"""Titles of fields."""

WANTED = (
    mark("a whole number"),
    mark("a whole number from {low} to {high}"),
    mark("a multiple of {step} from {low} to {high}"),
    mark("a number"),
    mark("a number from {low} to {high}"),
    mark("a number above {low} and up to {high}"),
    mark("one of {names}"),
    mark("text"),
    mark("text of at most {most} characters"),
)
"""What fields take."""

OF_FIELDS = (
    mark("{field} is missing."),
    mark("{field} is missing: send {wanted}."),
    mark("{field} is {value}: send {wanted}."),
    mark("{field} is {value}: send {wanted}, e.g. {low} or {high}."),
    mark("{field} is {value}: send {wanted}, e.g. {near}."),
    mark("{field} is empty: say in a few words what the picture should show."),
    mark("{field} is empty: write at least one word."),
    mark("{field} has {count} characters: shorten it to {most} or fewer."),
    mark("{field} has {count} entries: send {most} or fewer."),
    mark("{field} has a null character at position {at}: remove it."),
    mark("{field} has half of a character (a lone surrogate) at position {at}: remove it."),
    mark("{field} has weights that cancel out or overflow: keep them between 0 and 2."),
)

OF_PICTURES = (
    mark("Prompt stands for more than {most} prompts: use fewer lines or fewer alternatives in braces."),
    mark("Prompt has braces nested more than {most} deep: use fewer."),
    mark("Prompt has a { without its }: close it, or write \\{ for the brace itself."),
    mark("The {field} is {excess} characters too long (most: {most})."),
    mark("The {field} with the words of preset {preset} is {excess} characters too long (most: {most})."),
    mark("prompt"),
    mark("negative prompt"),
    mark("Give a prompt, or the title or summary of a post, to make a picture of."),
    mark("Give either an aspect or width and height, not both."),
    mark(
        "{width} x {height} is {pixels} pixels: {model} on {device} makes at most {most}; choose a smaller width or "
        "height."
    ),
    mark("The memory of {device} did not suffice for {width} x {height} pixels: choose a smaller size."),
    mark(
        "The memory of {device} did not suffice for {width} x {height} pixels: choose a smaller size or fewer pictures "
        "at once."
    ),
    mark("The picture's numbers overflowed: lower the weights in the prompt, such as (word)1.5, or the guidance."),
    mark(
        "The process that makes pictures {ended} in the middle of its work. If that happens again, choose a smaller "
        "size or fewer pictures at once."
    ),
    mark("The image engine is shutting down: try again in a moment."),
    mark("{files} cannot be used: {reason}"),
    mark("photo cannot be read ({why}): upload it again."),
    mark("photo is not a regular file: upload a PNG, JPEG or WebP picture."),
    mark("photo is empty (0 bytes): upload a PNG, JPEG or WebP picture."),
    mark("photo ({bytes} bytes) is not a PNG, JPEG or WebP picture: upload one of these."),
    mark("photo has {mb} MB: upload one of at most {most} MB."),
    mark("photo has {width} x {height} pixels: upload one of at most {most} megapixels."),
    mark("photo has more than 89 megapixels: upload one of at most {most} megapixels."),
    mark("photo is damaged or cut off ({why}): save the picture again and upload that."),
    mark("photo_strength has no effect without a photo."),
    mark("text is empty: write what the picture should say."),
    mark("text has {count} characters: shorten it to {most} or fewer."),
    mark("text has {count} characters, which do not fit on {width} x {height} pixels: shorten it."),
    mark("text has {letters}, which the font has no letters for: it writes Latin, Greek and Cyrillic. Leave them out."),
)

OF_BACKGROUNDS = (
    mark(
        "Nobody was found in this picture, so its background cannot be told from the rest: the model that does it "
        "finds people, best in photographs. Keep the background."
    ),
    mark(
        "Backgrounds are taken away by a model that is not here yet ({size} MB). Get it on the page, or with: python3 "
        "launch.py models pull {model}"
    ),
)

OF_PROMPTS = (
    mark("{parts}: left out, since this server has no LoRAs, hypernetworks or embeddings."),
    mark("{parts}: drawn with weight 0, the least there is; what shall be absent goes into negative_prompt."),
    mark("{parts}: drawn as the words behind the first colon, since this server does not edit prompts between steps."),
    mark("{parts}: drawn from the first step to the last, since this server does not edit prompts between steps."),
    mark("{parts}: drawn as all of these words at once, since this server does not alternate between steps."),
    mark('{parts}: left out; beside compel\'s syntax write ("first part", "second part").and().'),
    mark("{parts}: drawn as it stands, without a weight; to weaken words write (words:0.9)."),
    mark("{parts}: drawn without a weight; to stress words write (words:1.1)."),
)
"""Syntax of other programs that is drawn otherwise here."""

OF_FOUND_SETTINGS = (
    mark("It started from a photo, which is not in the file: add it again for the same picture."),
    mark("It started from a picture, which is not in the file."),
    mark("Its preset {preset} is not as it was then: the whole prompt is in the form instead."),
    mark("It was made with the model {model}; here {other} is loaded, which draws another picture."),
    mark("The loaded model has no sampler {sampler}: its own takes the place."),
    mark("The sampler {sampler} is not known here: the default takes its place."),
    mark("The size {sides} is not understood."),
    mark("The size {sides} became {others}: sides here are multiples of {step}."),
    mark("Not known here: {settings}."),
)
"""What of a picture's file could not be taken over into the form."""

OF_RECORDINGS = (
    mark(
        "This file cannot be read as sound or video: it is damaged, incomplete or of another kind than its name says. "
        "Send for example WAV, MP3, M4A, Ogg, WebM or MP4."
    ),
    mark("The file's sound track is empty or cannot be decoded. {reason}"),
    mark("The file has no sound track: choose a recording or a video with sound."),
    mark("The file's sound is in a codec that is unknown here: save it as WAV, MP3 or M4A."),
    mark("The file's header announces 0 channels: it is damaged. Save the recording again."),
    mark("The file's header announces {count} channels; up to {most} can be read. Save the recording again."),
    mark(
        "The file's header announces a sample rate of {rate} Hz; {low} to {high} Hz can be read. Save the recording "
        "again."
    ),
    mark("Only {seconds} s of the file's sound can be decoded: send the whole recording."),
    mark("The file could not be opened on this machine: send it again."),
    mark("The file is empty (0 bytes): choose another one, or save the recording first."),
    mark("The recording is longer than {minutes} minutes: cut it into shorter files."),
    mark("Parts of the file are missing or damaged; this is the text of the rest."),
    mark("A further recording is joined on at {seconds} s; the times go on from there."),
    mark("The file's clock jumps back at {seconds} s; the times go on from there."),
    mark("The file's clock jumps too far ahead at {seconds} s; the times go on from there."),
    mark("The file's clock and its sound run at different speeds; the times are the sound's."),
    mark("The file's list of edits leaves nothing of its sound: it was not followed."),
    mark("Channels of the recording cancel each other: where they do, one was heard alone."),
    mark("The file has {count} sound tracks: number {number} was heard."),
    mark(
        "The speech engine could not read this file: {why}. Nothing else is lost. Try again; if it happens again, the "
        "file itself is the cause: save it in another format."
    ),
    mark(
        "The speech engine failed twice at {begin} to {end} of this file: {why}. Nothing else is lost. Try again; if "
        "it happens again, the file itself is the cause: save it in another format, or leave that part out."
    ),
    mark("The speech engine is shutting down: try again in a moment."),
    mark("The speech engine was shut down while it worked on this file."),
    mark("The speech engine lost this session: {why}. Begin a new one."),
    mark("The studio stopped in the middle of this live session, which is over. Begin a new one."),
    mark("Live sessions need a speech model on this machine, and there is none."),
    mark("Speakers can be told apart by a speech model on this machine only: there is none."),
)

OF_MICROPHONES = (
    mark("PortAudio is missing, through which programs hear a microphone. Type: apt-get install libportaudio2"),
    mark("The microphone could not be opened or was lost ({reason}). Try another."),
    mark("The page was too slow to take the microphone's sound. Record again."),
)
"""Of the studio's machine."""

OF_SPEECH_MODELS = (
    mark(
        "The loaded speech model ({model}) takes no vocabulary, because it has no graph of words. Leave vocabulary "
        "out, or use a small Vosk model or one with lgraph in its name: `python3 launch.py models pull` lists them."
    ),
    mark(
        "The loaded speech model ({model}) cannot tell speakers apart: Vosk's speaker model works with models that "
        "Vosk itself runs. Leave speakers out, or use one of those."
    ),
    mark("{label}. Use a full Vosk model for real speech."),
    mark(
        "The loaded speech model ({model}) takes no vocabulary, because its graph of words is fixed. Leave vocabulary "
        "out, or use a small model or one with lgraph in its name: `python3 launch.py models pull` lists them."
    ),
    mark(
        "The loaded speech model ({model}) knows none of these phrases whole ({words}): send words that it knows, or "
        "leave vocabulary out. What a model cannot spell, corrections can."
    ),
    mark("The speech model does not know {words}: it does not listen for phrases with that."),
    mark(
        "Speakers cannot be told apart here, because there is no speaker model. Get it with `python3 launch.py models "
        "pull speakers` (or name the folder of one in STUDIO_SPEAKER_MODEL), or leave speakers out."
    ),
    mark("Language {language} is not available here: there is {languages}. Leave the language out."),
    mark(
        "Language {language} is not available here: there is {languages}. Leave the language out, or get a model for "
        "it: {command}."
    ),
    mark("The transcription service {why}: try again in a minute."),
    mark("The transcription service {why}, so this was transcribed by the local engine."),
)

OF_THE_STUDIO = (
    mark("{count} image jobs are waiting already. Try again in a moment."),
    mark("{count} speech jobs are waiting already. Try again in a moment."),
    mark("{count} live sessions are open, the limit here. Try again in a moment."),
    mark("This account may send {count} jobs a minute. Try again in {seconds} s."),
    mark("This account may send {count} jobs a day (UTC). Try again in {seconds} s."),
    mark("The upload could not be stored ({why}). Free disk space."),
    mark("The upload could not be written to this server's disk; it may be full."),
    mark("A file could not be stored ({why}). Free disk space."),
    mark("A result could not be stored ({why}). Free disk space."),
    mark("The studio's job store could not be used ({why}). Free disk space or check the data folder."),
    mark("The studio's job store could not be used ({why}). Another program holds it; try again when that has ended."),
    mark("The request is larger than {most}, the limit here: send less."),
    mark("There is no job {job}. It may have been deleted, or the id is mistyped."),
    mark("There is no file {file}. It may have been deleted, or the id is mistyped."),
    mark("Job {job} has no result: its state is {state}. Choose one that succeeded."),
    mark(
        "Job {job} is {state}, and only one that has ended can be deleted. Cancel it first (DELETE /jobs/{job} without "
        "forget), or wait for its end."
    ),
    mark(
        "Job {job} cannot be deleted yet: a webhook or Firestore is still to be told of it. Try again once that has "
        "arrived or was given up; whoever runs the studio sees both with python3 launch.py doctor."
    ),
    mark("The studio is shutting down and takes no new work. Try again in a moment."),
    mark("The job was not finished before its deadline. Send it again with more time."),
    mark(
        "The studio stopped {count} times in the middle of this job, so it is not started again by itself. Send it "
        "again; if that ends in the same way, send less at once."
    ),
    mark("revision is {sent}, and the result is at {latest} by now: read it again, and send your changes for that."),
    mark("text has no words: send DELETE to go back to what was heard."),
    mark(
        "This token has not the scope {scope}, which this needs. Whoever runs the studio can make one that has: "
        "python3 launch.py token create NAME --scopes {scope}."
    ),
    mark("Something went wrong inside the studio. The server's log tells more under job {job}."),
    mark("Something went wrong in the server; its log has the details. Try again."),
    mark("Something went wrong. The server's log tells more."),
    mark("The image engine could not be loaded; the server's log says why."),
    mark("The speech engine could not be loaded; the server's log says why."),
    mark("Too many wrong tokens came from this address. Try again in {seconds} s."),
)

OF_MODELS = (
    mark("SDXL needs an NVIDIA GPU with 10 GB, and there is none here: rent one, as the README tells."),
    mark("The next start of the studio uses it."),
    mark("Start the studio with --image-model sdxl to use it."),
    mark("Sketch demo model: flat-design drawings, not photographs"),
    mark("Demo speech model: about 140 English words, trained on synthetic speech only"),
    mark("flat-design drawings"),
    mark("about 140 English words"),
)
"""Labels of the built-in models with their parts, and what is to be done for others to be used."""

OF_DOWNLOADS = (
    mark("{address} could not be fetched: {reason}."),
    mark("Check the network connection and try again."),
    mark("{mb} MB are kept; the next try goes on from there."),
    mark("the connection ended after {have} of {size} bytes"),
    mark("the server has less than what had arrived"),
    mark("{address} answered {status}"),
    mark("{address} answered {status}. Check the address in a browser; it may have moved, or a proxy may block it."),
    mark(
        "{address} sends more than the {size} bytes that it should be: it is another file by now. Nothing was kept. "
        "Update Carrot Studio, or fetch the model by hand."
    ),
    mark(
        "What came from {address} is damaged or not the expected file: its {name} is {found}, not {expected}. It was "
        "deleted. Try again; if it stays so, the file has changed at its source."
    ),
    mark("The disk became full while {file} was written. Free some space and try again; it goes on from there."),
    mark("{file} could not be written: {why}. Check that you may write to {folder}."),
    mark("{model} could not be written to {folder}: {why}. Check the folder's rights and its disk."),
    mark(
        "{model} needs {needed} MB in {folder}, and {free} MB are free. Free {short} MB, or choose another models "
        "folder."
    ),
    mark(
        "{model} needs {needed} MB in {folder} while it is unpacked, and {free} MB are free. Free {short} MB, or "
        "choose another models folder."
    ),
    mark("{folder} is there, but was not made by pull. Move it away or delete it, then try again."),
    mark("What {address} sends is not a complete Vosk model. Nothing was installed."),
    mark("The publisher does not list {model} any more: look at {address} for what replaces it."),
    mark(
        "{address}, which tells the size and the checksum of {model}, could not be read. Check the network connection"
        " and try again."
    ),
    mark(
        "The model {model} is neither on this machine nor could it be downloaded ({why}). Start once with a "
        "connection to {address} (and HF_TOKEN, if the model asks for one), or copy the model's folder here and start"
        " with {flag} PATH."
    ),
)
"""Of models, for whoever gets one on the page."""

OF_DELIVERIES = (
    mark("given up after {tries} tries: {reason}"),
    mark("an error of the studio itself ({why}); its log tells more"),
    mark("the address answered 410 Gone and is not called any more"),
    mark("the address answered 410 Gone on {day} and is not called any more"),
    mark("STUDIO_WEBHOOK_SECRET is not set"),
    mark("STUDIO_WEBHOOK_HOSTS does not allow the address any more"),
    mark("the receiver answered {status}"),
    mark("the receiver did not answer within {seconds} s"),
    mark("the receiver could not be reached"),
    mark("the receiver broke off the connection"),
    mark("the address leads to where nothing is sent"),
    mark("{document} was deleted while it was compared."),
    mark("{document} holds something else than this job's result. Delete it there and deliver it again."),
    mark("Others kept writing to the post at the same time."),
    mark("Firestore denies this studio's account the access: give it the role Cloud Datastore User."),
    mark("Firestore does not take this document: the post may have no room left."),
    mark("Firestore's quota is used up."),
    mark("Firestore did not answer in {seconds} s."),
    mark("Firestore cannot be reached."),
    mark("There are no credentials for Firestore: set GOOGLE_APPLICATION_CREDENTIALS to the key file of an account."),
    mark("Firestore answered with {why}."),
)
"""What became of the last try to deliver a job's end, on the Status drawer."""

SENTENCES = (
    *FIELDS,
    *WANTED,
    *OF_FIELDS,
    *OF_PICTURES,
    *OF_BACKGROUNDS,
    *OF_PROMPTS,
    *OF_FOUND_SETTINGS,
    *OF_RECORDINGS,
    *OF_MICROPHONES,
    *OF_SPEECH_MODELS,
    *OF_THE_STUDIO,
    *OF_MODELS,
    *OF_DOWNLOADS,
    *OF_DELIVERIES,
)
