"""What this distribution registers with corenn."""

from __future__ import annotations

from corenn.plugin import ModelRecord, hookimpl


@hookimpl
def corenn_models() -> list[ModelRecord]:
    """The models of this package."""
    return [
        ModelRecord(
            "cnn",
            "corenn_models.classifiers:cnn",
            "convolutions with batch normalisation and pooling, then a dense layer, for small images",
        ),
        ModelRecord("mlp", "corenn_models.classifiers:mlp", "dense layers with dropout"),
        ModelRecord("linear", "corenn_models.classifiers:linear", "one dense layer: multinomial logistic regression"),
        ModelRecord("resnet50", "corenn_models.residual:resnet50", "bottleneck blocks with shortcuts, 50 layers deep"),
    ]
