"""The entry point of the data sets: what there is, said without importing any of it."""

from __future__ import annotations

from corenn.plugin import DatasetRecord, hookimpl


@hookimpl
def corenn_datasets() -> list[DatasetRecord]:
    """The data sets of this package."""
    return [
        DatasetRecord(
            "digits",
            "corenn_datasets.digits:load",
            "handwritten digits, 1,797 images of 8x8 pixels, 10 classes (UCI optical digits), embedded",
            offline=True,
            licence="CC BY 4.0",
            size="44 KB, included",
        ),
        DatasetRecord(
            "mnist",
            "corenn_datasets.mnist:load_mnist",
            "handwritten digits, 70,000 images of 28x28 pixels, 10 classes",
            licence="CC BY-SA 3.0",
            size="11.6 MB to download",
        ),
        DatasetRecord(
            "fashion_mnist",
            "corenn_datasets.mnist:load_fashion_mnist",
            "pictures of clothing, 70,000 images of 28x28 pixels, 10 classes (Zalando)",
            aliases=("fashion-mnist",),
            licence="MIT",
            size="30.9 MB to download",
        ),
        DatasetRecord(
            "cifar10",
            "corenn_datasets.cifar10:load",
            "colour pictures of animals and vehicles, 60,000 images of 32x32 pixels, 10 classes",
            aliases=("cifar-10",),
            licence="none stated",
            size="170 MB to download",
        ),
        DatasetRecord(
            "cifar100",
            "corenn_datasets.cifar100:load",
            "colour pictures, 60,000 images of 32x32 pixels, 100 classes or 20 superclasses",
            aliases=("cifar-100",),
            licence="none stated",
            size="169 MB to download",
        ),
        DatasetRecord(
            "cats_vs_dogs",
            "corenn_datasets.cats_vs_dogs:load",
            "photographs of cats and dogs, 23,262 usable ones (needs pillow)",
            aliases=("cats-vs-dogs",),
            licence="see the publisher's page",
            size="825 MB to download",
        ),
        DatasetRecord(
            "boston_housing",
            "corenn_datasets.housing:load_boston",
            "house prices of Boston, 506 tracts of 13 features, to predict",
            aliases=("boston-housing",),
            licence="none stated",
            size="57 KB to download",
        ),
        DatasetRecord(
            "california_housing",
            "corenn_datasets.housing:load_california",
            "house prices of California, 20,640 blocks of 8 features, to predict",
            aliases=("california-housing",),
            licence="none stated",
            size="0.7 MB to download",
        ),
        DatasetRecord(
            "text",
            "corenn_datasets.text:load",
            "characters to predict: made English sentences, or a text file of your own with --data-dir FILE.txt",
            offline=True,
            size="made on the spot",
        ),
        DatasetRecord(
            "blobs",
            "corenn_datasets.synthetic:blobs",
            "synthetic: Gaussian clouds to classify",
            offline=True,
            size="made on the spot",
        ),
        DatasetRecord(
            "spiral",
            "corenn_datasets.synthetic:spiral",
            "synthetic: interleaved spiral arms to classify",
            offline=True,
            size="made on the spot",
        ),
        DatasetRecord(
            "sine",
            "corenn_datasets.synthetic:sine",
            "synthetic: a noisy sine to fit",
            offline=True,
            size="made on the spot",
        ),
    ]
