"""The projector of TensorBoard: which variables of a checkpoint are embeddings, and where their labels are.

The file ``projector_config.pbtxt`` is protobuf's text form of the message that tensorboard's
``projector_config.proto`` defines.
"""

from __future__ import annotations

import json
import os
from typing import Any

from corenn_tensorflow import missing

PROJECTOR_FILENAME = "projector_config.pbtxt"


class _Items(list[Any]):
    """A repeated field."""

    def __init__(self, kind: type) -> None:
        super().__init__()
        self._kind = kind

    def add(self, **fields: Any) -> Any:
        """A new item, at the end."""
        made = self._kind(**fields)
        self.append(made)
        return made


class SpriteMetadata:
    """An image of all thumbnails, and the size of one."""

    def __init__(self, image_path: str = "", single_image_dim: Any = ()) -> None:
        self.image_path, self.single_image_dim = image_path, list(single_image_dim)

    def lines(self) -> list[str]:
        """Its fields in protobuf's text form."""
        found = [f"image_path: {json.dumps(self.image_path)}"] if self.image_path else []
        return found + [f"single_image_dim: {int(n)}" for n in self.single_image_dim]


class EmbeddingInfo:
    """One embedding: the variable's name, files of labels and bookmarks."""

    def __init__(
        self, tensor_name: str = "", metadata_path: str = "", bookmarks_path: str = "", tensor_shape: Any = (),
        sprite: SpriteMetadata | None = None, tensor_path: str = "",
    ) -> None:  # fmt: skip
        self.tensor_name, self.metadata_path, self.bookmarks_path = tensor_name, metadata_path, bookmarks_path
        self.tensor_shape, self.tensor_path = list(tensor_shape), tensor_path
        self.sprite = sprite if sprite is not None else SpriteMetadata()

    def lines(self) -> list[str]:
        """Its fields in protobuf's text form."""
        found = [f"{name}: {json.dumps(getattr(self, name))}" for name in ("tensor_name", "metadata_path",
                 "bookmarks_path", "tensor_path") if getattr(self, name)]  # fmt: skip
        found[1:1] = [f"tensor_shape: {int(n)}" for n in self.tensor_shape]
        sprite = self.sprite.lines()
        return found + (["sprite {", *[f"  {line}" for line in sprite], "}"] if sprite else [])


class ProjectorConfig:
    """All embeddings of a log directory."""

    def __init__(self, model_checkpoint_path: str = "", embeddings: Any = ()) -> None:
        self.model_checkpoint_path, self.model_checkpoint_dir = model_checkpoint_path, ""
        self.embeddings = _Items(EmbeddingInfo)
        self.embeddings.extend(embeddings)

    def __str__(self) -> str:
        lines = [f"{name}: {json.dumps(getattr(self, name))}" for name in ("model_checkpoint_path",
                 "model_checkpoint_dir") if getattr(self, name)]  # fmt: skip
        for embedding in self.embeddings:
            lines += ["embeddings {", *[f"  {line}" for line in embedding.lines()], "}"]
        return "\n".join(lines) + "\n"


def visualize_embeddings(summary_writer: Any, config: ProjectorConfig) -> None:
    """Write the configuration into the directory of a writer (or the one named)."""
    logdir = summary_writer if isinstance(summary_writer, (str, os.PathLike)) else summary_writer.get_logdir()
    if logdir is None:
        raise ValueError("Summary writer must have a logdir")
    os.makedirs(logdir, exist_ok=True)
    with open(os.path.join(logdir, PROJECTOR_FILENAME), "w", encoding="utf-8") as file:
        file.write(str(config))


__getattr__ = missing.guard(__name__)

__all__ = ["PROJECTOR_FILENAME", "EmbeddingInfo", "ProjectorConfig", "SpriteMetadata", "visualize_embeddings"]
