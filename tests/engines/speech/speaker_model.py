"""A Vosk speaker model in its real layout, but small, in Kaldi's text form: it tells the two voices of turns.ogg apart.

It is an x-vector network as in Kaldi's sid recipes: frames, their mean and deviation over the whole utterance, and the
vector. Its weights are random. What turns the vector (LDA, in the real one as well) was fitted to 60 sayings of random
words in the same two voices of espeak-ng.
"""

from __future__ import annotations

import random
from pathlib import Path

FEATURES, FRAME, VECTOR = 30, 32, 24
TURN = """ [
  0.04 -0.19 0.22 -0.41 0.08 -0.37 -0.45 -0.02 0.1 -0.18 0.11 -1.0
  0.08 -0.03 -0.07 -0.16 -0.01 0.08 -0.03 0.28 0.6 -0.42 -0.16 0.13 ]
"""
CONTEXT = 10_000
"""Frames that are pooled: all."""

MFCC = """--sample-frequency=16000
--num-mel-bins=30
--num-ceps=30
--low-freq=20
--high-freq=7600
--snip-edges=false
--dither=0
"""

NODES = f"""input-node name=input dim={FEATURES}
component-node name=frame.affine component=frame.affine input=Append(Offset(input, -2), input, Offset(input, 2))
component-node name=frame.relu component=frame.relu input=frame.affine
component-node name=extraction component=extraction input=frame.relu
component-node name=pooling component=pooling input=extraction
component-node name=vector component=vector input=pooling
output-node name=output input=vector objective=linear
"""


def write_speaker_model(folder: Path) -> Path:
    """Make the folder's files."""
    folder.mkdir(parents=True)
    chance = random.Random(1)
    pooled = 2 * FRAME
    network = "\n".join(
        (
            f"<Nnet3> \n{NODES}",
            "<NumComponents> 5",
            f"<ComponentName> frame.affine {_affine(chance, FRAME, 3 * FEATURES)}",
            f"<ComponentName> frame.relu <RectifiedLinearComponent> <Dim> {FRAME} <ValueAvg>  [ ]\n<DerivAvg>  [ ]\n"
            "<Count> 0 <OderivRms>  [ ]\n<OderivCount> 0 <NumDimsSelfRepaired> 0 <NumDimsProcessed> 0 "
            "</RectifiedLinearComponent> ",
            f"<ComponentName> extraction <StatisticsExtractionComponent> <InputDim> {FRAME} <InputPeriod> 1 "
            "<OutputPeriod> 1 <IncludeVarinance> T </StatisticsExtractionComponent> ",
            f"<ComponentName> pooling <StatisticsPoolingComponent> <InputDim> {1 + pooled} <InputPeriod> 1 "
            f"<LeftContext> {CONTEXT} <RightContext> {CONTEXT} <NumLogCountFeatures> 0 <OutputStddevs> T "
            "<VarianceFloor> 1e-10 </StatisticsPoolingComponent> ",
            f"<ComponentName> vector {_affine(chance, VECTOR, pooled)}",
            "</Nnet3> ",
        )
    )
    (folder / "final.ext.raw").write_text(network)
    (folder / "mean.vec").write_text(f" [ {' '.join(['0'] * VECTOR)} ]\n")
    (folder / "transform.mat").write_text(" ".join(TURN.split("\n")) + "\n")
    (folder / "mfcc.conf").write_text(MFCC)
    return folder


def _affine(chance: random.Random, rows: int, columns: int) -> str:
    weights = _matrix(chance, rows, columns)
    bias = " ".join(["0"] * rows)
    return f"<FixedAffineComponent> <LinearParams> {weights}<BiasParams>  [ {bias} ]\n</FixedAffineComponent> "


def _matrix(chance: random.Random, rows: int, columns: int) -> str:
    lines = (" ".join(f"{chance.gauss(0, columns**-0.5):.5f}" for _ in range(columns)) for _ in range(rows))
    return " [\n  " + "\n  ".join(lines) + " ]\n"
