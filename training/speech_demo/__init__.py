"""Builds the demo speech model, `models/vosk-demo-en`, from synthetic speech: `python -m training.speech_demo`.

    vocabulary   the words, the sentences, and how each word sounds
    lexicon      asks flite how, when the words change
    voices       which voices speak for training and which only for measuring
    espeak       speech from espeak-ng, with word times
    flite        speech from flite, with phone times
    corpus       utterances on disk
    synth        draws texts and voices, and speaks them
    augment      other rooms, speeds, microphones and noise
    frames       what an example is: features, and a phone for every output frame
    features     examples from utterances: augmented, as Kaldi's MFCCs
    network      the acoustic model in torch
    align        which frame belongs to which phone, by Viterbi
    train        label, train, realign, again
    kaldi        Kaldi's binary file format
    graph        words and grammar as finite-state machines, in text
    export       everything that a Vosk model folder holds
    evaluate     word error rates through Vosk itself
    workfolder   which recipe the files between the stages belong to
    build        the stages in order, each taken up where an earlier run left it

Nothing here is needed to run the product.
"""
