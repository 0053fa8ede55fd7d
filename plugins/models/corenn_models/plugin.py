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
        ModelRecord(
            "gap", "corenn_models.plain:gap", "convolutions, then the mean of each channel: no hidden dense layer"
        ),
        ModelRecord("vgg16", "corenn_models.plain:vgg16", "3x3 convolutions in five blocks, three dense layers"),
        ModelRecord(
            "resnet18", "corenn_models.residual:resnet18", "pairs of 3x3 convolutions with shortcuts, 18 layers"
        ),
        ModelRecord(
            "resnet34", "corenn_models.residual:resnet34", "pairs of 3x3 convolutions with shortcuts, 34 layers"
        ),
        ModelRecord("resnet50", "corenn_models.residual:resnet50", "bottleneck blocks with shortcuts, 50 layers deep"),
        ModelRecord(
            "resnet101", "corenn_models.residual:resnet101", "bottleneck blocks with shortcuts, 101 layers deep"
        ),
        ModelRecord(
            "mobilenet_v2", "corenn_models.mobile:mobilenet_v2", "inverted residuals of depthwise convolutions"
        ),
        ModelRecord("autoencoder", "corenn_models.autoencoders:autoencoder", "images to a short code and back"),
        ModelRecord("vae", "corenn_models.autoencoders:vae", "a variational autoencoder of images"),
        ModelRecord("dcgan", "corenn_models.adversarial:dcgan", "a generator and a discriminator of images"),
        ModelRecord("seq2seq", "corenn_models.sequences:seq2seq", "LSTMs that read a sequence and write another"),
        ModelRecord("transformer", "corenn_models.sequences:transformer", "blocks of attention over a sequence"),
    ]
