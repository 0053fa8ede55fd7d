"""corenn as an ONNX backend: the interface of ``onnx.backend.base``, which the ONNX test suite and others use."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep, namedtupledict

import corenn
from corenn.errors import BackendError
from corenn.tensor import Tensor
from corenn_onnx.model import ImportedModel, load


class CorennRep(BackendRep):
    """A model that is ready to run on one device."""

    def __init__(self, model: ImportedModel, device: Any) -> None:
        self.model, self.device = model, device

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs as arrays (lists for sequences), for inputs in order."""
        given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
        with self.device if self.device is not None else nullcontext():
            return tuple(_host(v) for v in self.model.run(given))


def _host(value: Any) -> Any:
    if isinstance(value, list):
        return [_host(v) for v in value]
    return value.numpy() if isinstance(value, Tensor) else value


def _device(name: str) -> Any:
    """corenn's device for ONNX's name: the current one for "CPU", the CuPy backend's for "CUDA" and "CUDA:1"."""
    kind, _, index = name.partition(":")
    if kind == "CPU":
        return None
    return corenn.device("cupy" + (f":{index}" if index else ""))


class CorennBackend(Backend):
    """The class that ``onnx.backend.test.BackendTest`` takes."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> CorennRep:
        """Read the model; raises what ``corenn_onnx.load`` raises."""
        return CorennRep(load(model), _device(device))

    @classmethod
    def run_model(cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any) -> tuple[Any, ...]:
        """Read the model and run it once."""
        return cls.prepare(model, device).run(inputs)

    @classmethod
    def run_node(
        cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Any = None, **kwargs: Any
    ) -> tuple[Any, ...] | None:
        """Run a single node, of the newest opset unless ``opset_version`` says another."""
        opset = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        given = [np.asarray(value) for value in inputs]
        names = [name for name in node.input if name]
        infos = [
            onnx.helper.make_tensor_value_info(n, onnx.helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in zip(names, given, strict=True)
        ]
        ends = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = onnx.helper.make_graph([node], "node", infos, ends)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, opset)])
        results = cls.prepare(model, device).run(given)
        return namedtupledict("Outputs", [o.name for o in ends])(*results)  # type: ignore[no-any-return]

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether the device is there: always for "CPU", for "CUDA" if the CuPy backend is available."""
        if device.partition(":")[0] not in ("CPU", "CUDA"):
            return False
        try:
            _device(device)
        except BackendError:
            return False
        return True


prepare, run_model, run_node = CorennBackend.prepare, CorennBackend.run_model, CorennBackend.run_node
supports_device, is_compatible = CorennBackend.supports_device, CorennBackend.is_compatible

__all__ = [
    "CorennBackend", "CorennRep", "is_compatible", "prepare", "run_model", "run_node", "supports_device",
]  # fmt: skip
