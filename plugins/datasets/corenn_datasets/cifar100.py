"""CIFAR-100: 50,000 training and 10,000 test colour images of 32x32 pixels in 100 classes, or in 20 superclasses.

``corenn_datasets.cifar_binary`` describes the files and where they come from.
"""

from __future__ import annotations

from typing import Literal

from corenn.errors import UsageError
from corenn_datasets.cifar_binary import IMAGE_SHAPE, LEVELS, BinarySet, load_parts
from corenn_datasets.download import RemoteFile
from corenn_datasets.splits import DatasetSplits, PathLike, Progress, images_and_labels

#: The classes, in the order of ``fine_label_names.txt``.
FINE = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip
#: The superclasses of five classes each, in the order of ``coarse_label_names.txt``.
COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip

_FILE_BYTES = 50_000 * 3074
_SET = BinarySet(
    name="cifar100",
    title="CIFAR-100",
    archive=RemoteFile(
        "cifar-100-binary.tar.gz", 168513733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
    ),
    folder="cifar-100-binary",
    train=("train.bin",),
    test="test.bin",
    label_classes=(len(COARSE), len(FINE)),
    largest_file=_FILE_BYTES,
    largest_archive=2 * _FILE_BYTES,  # the published one has a little more than 60,000 records
    pickles=("cifar-100-python/train", "cifar100/cifar-100-python/train"),
)


def load(
    data_dir: PathLike | None = None, *, labels: Literal["fine", "coarse"] = "fine", progress: Progress | None = None
) -> DatasetSplits:
    """CIFAR-100: train float32[50000, 32, 32, 3] and test float32[10000, 32, 32, 3] in [0, 1], labels int32.

    ``labels``: "fine" for the 100 classes, "coarse" for the 20 superclasses.  From ``train.bin`` and ``test.bin`` or
    ``cifar-100-binary.tar.gz`` in ``data_dir`` (or its subfolder ``cifar100`` or ``cifar-100-binary``); everything
    else, and the errors, as for ``corenn_datasets.cifar10``.  Raises ``UsageError`` for other ``labels``.
    """
    if labels not in ("fine", "coarse"):
        raise UsageError(_SET.name, f"there are no labels {labels!r}", hint="labels is 'fine' or 'coarse'")
    (train, train_labels), (test, test_labels) = load_parts(_SET, data_dir, progress)
    classes, column = (FINE, 1) if labels == "fine" else (COARSE, 0)
    return DatasetSplits(
        name=_SET.name,
        train=images_and_labels(train, train_labels[:, column], LEVELS),
        test=images_and_labels(test, test_labels[:, column], LEVELS),
        classes=classes,
        image_shape=IMAGE_SHAPE,
        description=f"60,000 colour images of 32x32 pixels in {len(classes)} classes",
        source="A. Krizhevsky, Learning multiple layers of features from tiny images (2009)",
        licence="none stated",
        levels=LEVELS,
    )


__all__ = ["COARSE", "FINE", "load"]
