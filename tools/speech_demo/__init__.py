"""Builds the demo speech model, `models/vosk-demo-en`, from synthetic speech: `python -m tools.speech_demo`.

    vocabulary   the words, the sentences, and how each word sounds
    voices       which voices speak for training and which only for measuring
    espeak       speech from espeak-ng, with word times
    flite        speech from flite, with phone times
    corpus       utterances on disk
    synth        draws texts and voices, and speaks them
    augment      other rooms, speeds, microphones and noise
    features     the MFCCs that Kaldi computes, and labels per output frame
    network      the acoustic model in torch
    align        which frame belongs to which phone, by Viterbi
    train        label, train, realign, again
    kaldi        Kaldi's binary file format
    graph        words and grammar as finite-state machines, in text
    export       everything that a Vosk model folder holds
    evaluate     word error rates through Vosk itself

Nothing here is needed to run the product.
"""
