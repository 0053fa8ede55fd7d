"""What ``tf.`` has of the namespaces that are loaded late: names found when they are first asked for."""

from __future__ import annotations

from corenn_tensorflow import signal, sparse, sparse_forms
from corenn_tensorflow.nn.ctc_decoding import edit_distance
from corenn_tensorflow.ragged import taking
from corenn_tensorflow.ragged_tensor import RaggedTensor

#: Names of the top level.
TOP = {
    "RaggedTensor": RaggedTensor, "edit_distance": edit_distance, "fft": signal.fft, "fft2d": signal.fft2d,
    "fft3d": signal.fft3d, "ifft": signal.ifft, "ifft2d": signal.ifft2d, "ifft3d": signal.ifft3d,
}  # fmt: skip

# ``tf.sparse`` is one namespace; its forms are in a module of their own.
for _name in sparse_forms.__all__:
    setattr(sparse, _name, getattr(sparse_forms, _name))
    if _name not in ("expand_dims", "eye", "map_values"):
        TOP[f"sparse_{_name}"] = getattr(sparse_forms, _name)

__all__ = ["TOP", "taking"]
