"""Weights that other libraries have saved, for models of corenn, and the other way round.

::

    from corenn_models import weights

    report = weights.load(model, "resnet50.h5")          # assigns all weights, or raises and assigns none
    print(weights.compare(model, "resnet50.pth").as_text())
    weights.save(model, "for_keras.h5")

Read are safetensors (corenn's, or with PyTorch's names), PyTorch's ``.pth`` (state dicts; without PyTorch, and without
running anything in the file), and Keras's ``.h5``, ``.weights.h5`` and ``.keras`` (with h5py, the extra ``keras``).
Kernels are turned into corenn's layout: convolutions from OIHW, dense layers from [out, in] (the pixels of a flattened
image too), gates of LSTM and GRU, projections of attention.
"""

from __future__ import annotations

from corenn_models.weights.files import open_weights
from corenn_models.weights.loading import compare, load, repack, save
from corenn_models.weights.matching import Match, Report
from corenn_models.weights.source import SavedLayer, Stored, WeightFile

__all__ = [
    "Match", "Report", "SavedLayer", "Stored", "WeightFile", "compare", "load", "open_weights", "repack", "save",
]  # fmt: skip
