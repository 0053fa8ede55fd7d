"""``tensorflow.python.tools.inspect_checkpoint``: what a checkpoint holds, on standard output."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow.train.checkpoints import NewCheckpointReader


def print_tensors_in_checkpoint_file(
    file_name: Any, tensor_name: str, all_tensors: bool, all_tensor_names: bool = False,
    count_exclude_pattern: str = "",
) -> None:  # fmt: skip
    """Print one tensor of a checkpoint, or the names and values of all."""
    reader = NewCheckpointReader(file_name)
    if all_tensors or all_tensor_names:
        for name in sorted(reader.get_variable_to_shape_map()):
            print("tensor_name: ", name)
            if all_tensors:
                print(reader.get_tensor(name))
    elif not tensor_name:
        for name, shape in sorted(reader.get_variable_to_shape_map().items()):
            print(f"{name} {shape}")
    else:
        print("tensor_name: ", tensor_name)
        print(reader.get_tensor(tensor_name))


__all__ = ["print_tensors_in_checkpoint_file"]
