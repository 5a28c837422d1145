"""The built-in image model `sketch`: a program draws pictures, and a very small SDXL-shaped model learns them.

Stages, each a module that runs by itself (`python -m training.sketch.<stage>`); without one it runs them all:
data -> text -> harden -> train -> decoder -> export -> judge -> sheet.
"""
