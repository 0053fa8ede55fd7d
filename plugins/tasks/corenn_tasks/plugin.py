"""What this distribution registers with corenn."""

from __future__ import annotations

from corenn.plugin import TaskRecord, hookimpl


@hookimpl
def corenn_tasks() -> list[TaskRecord]:
    """The tasks of this package."""
    return [
        TaskRecord(
            "digits",
            "corenn_tasks.digits:Digits",
            "classify images of handwritten digits with a small convolutional network",
            default_dataset="digits",
        ),
        TaskRecord(
            "logistic-regression",
            "corenn_tasks.mnist:LogisticRegression",
            "classify digits with one linear layer; its weights as images",
            default_dataset="mnist",
        ),
        TaskRecord(
            "mnist-mlp",
            "corenn_tasks.mnist:MnistMlp",
            "classify digits with one hidden layer of 620 sigmoid units",
            default_dataset="mnist",
        ),
        TaskRecord(
            "mnist-modern",
            "corenn_tasks.mnist:MnistModern",
            "classify digits with two ReLU layers, dropout and RMSProp",
            default_dataset="mnist",
        ),
        TaskRecord(
            "mnist-cnn",
            "corenn_tasks.mnist:MnistCnn",
            "classify digits with three convolutions; filters and feature maps",
            default_dataset="mnist",
        ),
        TaskRecord(
            "lstm-rows",
            "corenn_tasks.mnist:LstmRows",
            "classify digits with an LSTM over the rows of the image",
            default_dataset="mnist",
        ),
        TaskRecord(
            "char-lstm",
            "corenn_tasks.char_lstm:CharLstm",
            "learn a text character by character with an LSTM, and write some",
            default_dataset="text",
        ),
        TaskRecord(
            "weight-init",
            "corenn_tasks.weight_init:WeightInit",
            "compare initial weights: variance and histograms by layer, and how training goes",
            default_dataset="mnist",
        ),
        TaskRecord(
            "visualize",
            "corenn_tasks.visualize:Visualize",
            "train a small network and show all of it in TensorBoard",
            default_dataset="mnist",
        ),
        TaskRecord(
            "sine",
            "corenn_tasks.sine:Sine",
            "approximate the sine: fed or on-device data, batch norm, a learning-rate schedule",
        ),
        TaskRecord(
            "multiply",
            "corenn_tasks.multiply:Multiply",
            "multiply two numbers: at once, traced, and in a graph that a session runs",
        ),
        TaskRecord(
            "gradient-descent",
            "corenn_tasks.gradient_descent:GradientDescent",
            "minimise x squared by hand, by gradients, by an optimizer, and see Adam overshoot",
        ),
        TaskRecord(
            "linear-regression",
            "corenn_tasks.linear_regression:LinearRegression",
            "fit a line to noisy points by gradient descent, against least squares",
        ),
        TaskRecord(
            "multivariate-regression",
            "corenn_tasks.multivariate_regression:MultivariateRegression",
            "fit several outputs to several inputs by gradient descent, against least squares",
        ),
        TaskRecord(
            "hospital-visits",
            "corenn_tasks.hospital_visits:HospitalVisits",
            "predict hospital visits from temperatures: cleaning, batches, validation, a line",
        ),
        TaskRecord(
            "polynomial",
            "corenn_tasks.polynomial:Polynomial",
            "fit a noisy cubic from random batches, against least squares",
        ),
        TaskRecord(
            "information",
            "corenn_tasks.information:Information",
            "information, entropy, cross entropy and KL divergence: their identities, measured",
        ),
        TaskRecord(
            "dqn-mountain-car",
            "corenn_tasks.mountain_car:MountainCar",
            "deep Q learning: drive a weak car up a hill by gathering momentum (needs gymnasium)",
        ),
        TaskRecord(
            "cifar10",
            "corenn_tasks.cifar10:Cifar10",
            "classify colour pictures with 5x5 convolutions, or with the augmented network",
            default_dataset="cifar10",
        ),
        TaskRecord(
            "cats-vs-dogs",
            "corenn_tasks.cats_vs_dogs:CatsVsDogs",
            "tell cats from dogs: dense layers, dropout and global average pooling compared",
            default_dataset="cats_vs_dogs",
        ),
        TaskRecord(
            "transfer-learning",
            "corenn_tasks.transfer_learning:TransferLearning",
            "tell cats from dogs by the features of a frozen ResNet50: 2,049 trained parameters",
            default_dataset="cats_vs_dogs",
        ),
    ]
