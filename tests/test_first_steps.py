"""What a person does wrong first, in a notebook, coming from NumPy, CuPy, TensorFlow, Keras or PyTorch.

Every cell must end in an error that says what to do, in corenn's layout, at the line of the cell (the last one, or the
one marked ``# here``) and without traces of corenn's insides.  What a cell may use is in ``conftest.py``.
"""

from __future__ import annotations

import textwrap
import traceback

import pytest

from corenn.errors import (
    AttributeValueError,
    BackendError,
    CheckpointError,
    CorennError,
    DataError,
    DTypeError,
    GradientError,
    ImmutableError,
    PluginError,
    ShapeError,
    UsageError,
)
from corenn.training import TrainingWarning

MISTAKES = [
    # making tensors
    ("corenn.tensor([[1, 2], [3]])", ShapeError, "ragged|one length"),
    ("corenn.tensor('abc')", DTypeError, "cannot hold text|return_inverse"),
    ("corenn.tensor(None)", DTypeError, "None was given"),
    ("corenn.tensor([1.0, None])", DTypeError, "Python objects (NoneType, float)|nan stands for"),
    ("corenn.tensor({1, 2})", DTypeError, "Python objects (set)|corenn.tensor(list(data))"),
    ("corenn.tensor(i for i in range(3))", DTypeError, "generator|corenn.tensor(list(data))"),
    ("corenn.tensor(np.array([1, 2], object))", DTypeError, "(int)|array.astype('float32')"),
    ("corenn.tensor(np.array(['2020-01-01'], 'M8[D]'))", DTypeError, "datetime64|int64"),
    ("corenn.tensor([1, 2], dtype='flaot32')", DTypeError, "no element type 'flaot32'|did you mean 'float32'"),
    ("corenn.tensor([300], dtype='uint8')", DTypeError, "300 does not fit in uint8|0 to 255"),
    ("corenn.tensor(-1, dtype='uint8')", DTypeError, "-1 does not fit in uint8|0 to 255"),
    ("corenn.tensor(2**70)", DTypeError, "does not fit in int64"),
    ("corenn.tensor(1, 2, 3)", UsageError, "the data is one argument|corenn.tensor([1, 2])"),
    ("corenn.ones(2, 3)", UsageError, "ones: the shape is one argument|corenn.ones((2, 3))"),
    ("corenn.zeros(-1)", AttributeValueError, "zeros: shape must be a tuple of non-negative ints|-1"),
    ("corenn.zeros((2, 'a'))", AttributeValueError, "zeros: shape|(2, 'a')"),
    ("corenn.zeros(corenn.tensor(3))", AttributeValueError, "plain Python value, not a tensor|int(t)"),
    ("corenn.full((2,), 'a')", DTypeError, "full: the value must be a number, not a str"),
    ("corenn.full((2,), None)", DTypeError, "must be a number, not a NoneType"),
    ("corenn.arange('a')", DTypeError, "arange: stop must be a number"),
    ("corenn.arange(corenn.tensor(3))", UsageError, "takes Python numbers, not tensors|int(n)"),
    ("corenn.linspace(0, 1, 2.5)", AttributeValueError, "num must be an int of at least 0|2.5"),
    ("corenn.linspace('a', 1)", DTypeError, "start must be a number, not a str"),
    ("corenn.eye((2, 2))", AttributeValueError, "rows must be an int of at least 0|(2, 2)"),
    # indexing
    ("x[5]", ShapeError, "index 5 is out of range for axis 0|positions are -2 to 1"),
    ("x[0, 0, 0]", ShapeError, "too many indices: 3 for 2 axes"),
    ("x[1.0]", DTypeError, "float is no index|corenn.cast(i, dtype='int32')"),
    ("x['a']", DTypeError, "str is no index"),
    ("x[corenn.tensor([0.0, 1.0])]", DTypeError, "float32 is no index"),
    ("x[[True, False, True]]", ShapeError, "a mask of shape [3] does not fit"),
    ("x[::0]", ShapeError, "the step of a slice is 0"),
    ("corenn.gather(corenn.arange(10), corenn.tensor([1, 12]))", ShapeError, "position 12 is outside|-10 to 9"),
    # changing things in place
    ("x[0] = 5", ImmutableError, "tensors are immutable|corenn.index_update|assign()"),
    ("v = corenn.Variable([1.0, 2.0])\nv[0] = 5.0", ImmutableError, "immutable|assign()"),
    ("v = corenn.Variable([1.0, 2.0])\nv += 1", ImmutableError, "is not changed by +=|v.assign_add(value)"),
    ("v = corenn.Variable([1.0, 2.0], name='w')\nv -= 0.1 * v", ImmutableError, "'w'|v.assign"),
    ("a = np.ones((2, 4))\na += x", DTypeError, "numpy.add|array += x.numpy()"),
    ("corenn.Variable([1.0, 2.0]).assign([1.0, 2.0, 3.0])", ShapeError, "another shape|float32[2]|float32[3]"),
    ("corenn.Variable([1.0]).assign(corenn.tensor([1]))", DTypeError, "another dtype|corenn.cast(value"),
    ("corenn.Variable([1.0, 2.0]).assign_add(corenn.ones((2, 2)))", ShapeError, "another shape|float32[2, 2]"),
    # numbers, truth, NumPy
    ("if x > 1:\n    pass", ShapeError, "the truth of a tensor of several elements|corenn.any(x)"),
    ("while corenn.ones(2):\n    break", ShapeError, "ambiguous|corenn.all(x)"),
    ("float(x)", ShapeError, "takes a tensor of one element|x.tolist()"),
    ("x.item()", ShapeError, "takes a tensor of one element"),
    ("range(3)[corenn.tensor(1.0)]", DTypeError, "only an integer tensor of one element"),
    ("np.sin(x)", DTypeError, "use corenn.sin(x)|numpy.sin(x.numpy())"),
    ("np.arctan2(x, x)", DTypeError, "use corenn.atan2(x, y)"),
    ("np.absolute(x)", DTypeError, "use corenn.abs(x)"),
    ("np.add.reduce(x)", DTypeError, "numpy.add|x.numpy()"),
    ("np.sum(x, dtype=np.float64)", UsageError, "takes no 'dtype'|x.astype(dtype)"),
    ("x.sum(dim=1)", UsageError, "takes no 'dim'|it is called 'axis'"),
    ("corenn.sum(x, dim=1)", UsageError, "there is no attribute 'dim'|it is called 'axis'"),
    ("corenn.sum(x, keepdim=True)", UsageError, "it is called 'keepdims'"),
    # ops
    ("x + corenn.zeros(3)", ShapeError, "add: the shapes do not broadcast|axis -1 is 4|axis -1 is 3"),
    ("x @ corenn.zeros((3, 2))", ShapeError, "matmul: inner dimensions differ|last axis is 4|first axis is 3"),
    ("x @ x", ShapeError, "inner dimensions differ|transpose_b=True"),
    ("x @ 2", ShapeError, "not a 0-d operand|a * b scales"),
    ("x + corenn.tensor([1, 2, 3, 4])", DTypeError, "do not promote|corenn.cast(y, dtype='float32')"),
    ("x + 'a'", DTypeError, "operand 'y' cannot hold text"),
    ("x + None", UsageError, "the operand 'y' is None"),
    ("corenn.tensor([100], dtype='int8') + 1000", DTypeError, "1000 does not fit in int8"),
    ("corenn.sin(corenn.tensor([1, 2]))", DTypeError, "takes floating or complex|corenn.cast(x, dtype='float32')"),
    ("corenn.mean(corenn.tensor([1, 2]))", DTypeError, "mean: takes floating|corenn.cast"),
    ("nn.softmax(corenn.tensor([1, 2]))", DTypeError, "softmax: takes floating"),
    ("x & x", DTypeError, "takes integer or bool elements"),
    ("corenn.sum(x, 1)", UsageError, "attributes are given by name|sum(x, axis=1)"),
    ("corenn.sum(x, axis=2)", ShapeError, "axis 2 is out of range|-2 to 1"),
    ("corenn.sum(x, axis='0')", AttributeValueError, "axis must be an int"),
    ("corenn.max(corenn.zeros((0,)))", ShapeError, "there are no elements to reduce"),
    ("corenn.reshape(x, shape=(3, 3))", ShapeError, "the number of elements would change|has 8"),
    ("x.reshape(-1, -1)", ShapeError, "at most one extent can be -1"),
    ("corenn.concatenate([corenn.ones((2, 3)), corenn.ones((2, 4))])", ShapeError, "the extents of axis 1 differ"),
    ("corenn.stack([corenn.ones(2), corenn.ones(3)])", ShapeError, "one shape|corenn.concatenate"),
    ("corenn.split(corenn.ones(10), 3)", ShapeError, "does not divide into 3"),
    ("corenn.where(corenn.tensor([1, 0]), 1.0, 2.0)", DTypeError, "the condition must be bool|x > 0"),
    ("corenn.one_hot([0, 1], 3)", UsageError, "one_hot(indices, depth=3)"),
    ("corenn.top_k(x, k=9)", ShapeError, "there are no 9 elements"),
    ("corenn.einsum('ij,jk->ik', x, x)", ShapeError, "the index j has two extents"),
    ("linalg.inv(corenn.zeros((2, 2)))", AttributeValueError, "singular|pinv"),
    ("linalg.solve(corenn.eye(2), corenn.ones(3))", ShapeError, "as many rows"),
    ("nn.conv2d(corenn.ones((1, 5, 5, 1)), corenn.ones((3, 3, 2, 2)))", ShapeError, "x has 1 channels, and w takes 2"),
    ("nn.conv2d(corenn.ones((1, 5, 5, 1)), corenn.ones((3, 3, 1, 2)), padding='a')", AttributeValueError, "SAME, VALID"),
    ("nn.dropout(x, rate=1.5)", AttributeValueError, "rate|1.5"),
    ("random.uniform((2,), low=6, high=5)", AttributeValueError, "low must not be above high"),
    ("random.normal((2,), dtype='int32')", AttributeValueError, "not int32|corenn.random.integers"),
    ("random.seed('a')", AttributeValueError, "seed must be an int"),
    ("random.permutation(corenn.arange(3))", UsageError, "takes a number|corenn.random.shuffle(x)"),
    # devices
    ("corenn.device('gpu')", BackendError, "no backend is called 'gpu'|numpy"),
    ("corenn.device('nunpy')", BackendError, "did you mean 'numpy'"),
    ("corenn.device('numpy:3')", BackendError, "has no device 3|numpy:0"),
    ("corenn.device(3)", BackendError, "given by its name, not by a int|'backend:index'"),
    ("x.to('float64')", BackendError, "x.astype('float64')"),
    ("""
     from corenn.backend import use_backend
     from corenn.device import device_of
     there = corenn.ones(4, device=device_of(SimulatedDevice()))
     x + there
     """, BackendError, "the operands are on different devices|numpy|x.to("),
    # gradients
    ("with corenn.GradientTape() as tape:\n    tape.watch(corenn.tensor(3))  # here", DTypeError, "only floating tensors"),
    ("""
     v = corenn.Variable(3.0)
     with corenn.GradientTape() as tape:
         y = v * v
     tape.gradient(y, v)
     tape.gradient(y, v)
     """, GradientError, "has given its gradients already|persistent=True"),
    ("""
     v = corenn.Variable([3.0, 4.0])
     with corenn.GradientTape() as tape:
         y = np.square(v.numpy())
     tape.gradient(y, v)
     """, UsageError, "not a tensor|with corenn ops inside the tape"),
    ("""
     v = corenn.Variable([3.0, 4.0])
     with corenn.GradientTape() as tape:
         y = corenn.argmax(v)
     tape.gradient(y, v)
     """, GradientError, "only floating values have gradients|int64[]"),
    ("corenn.grad(lambda x: x**2)(corenn.ones(3))", ShapeError, "must return a scalar|corenn.sum"),
    ("corenn.grad(lambda x: float(x) ** 2)(1.0)", UsageError, "must return a tensor|leave the tape"),
    ("corenn.grad(5)", UsageError, "takes a function of tensors"),
    ("""
     v = corenn.Variable([1.0, 2.0])
     optimizers.SGD(0.1).apply_gradients([(None, v)])
     """, UsageError, "No gradients|inside the tape's block"),
    ("""
     v = corenn.Variable([1.0, 2.0])
     optimizers.SGD(0.1).apply_gradients([(corenn.ones(3), v)])
     """, ShapeError, "the gradient of 'variable' has another shape"),
    ("optimizers.Adam(-1.0)", AttributeValueError, "the learning rate must be at least 0"),
    ("optimizers.get('adm')", UsageError, "did you mean 'adam'"),
    # layers
    ("layers.Dense(-3)", AttributeValueError, "units must be a positive int, not -3"),
    ("layers.Dense(3, activation='rleu')", UsageError, "did you mean 'relu'"),
    ("layers.Dense(3, kernel_initializer='glorot')", UsageError, "did you mean 'glorot_normal' or 'glorot_uniform'"),
    ("layers.Dense(3)(features[0])", ShapeError, "at least 2 axes (batch, features)|x[None]|in layer 'dense"),
    ("layers.Dense(3)(np.ones((2, 3), int))", DTypeError, "takes floating inputs, not int64|x.astype('float32')"),
    ("d = layers.Dense(3)\nd(features)\nd(features[:, :2])", ShapeError, "built for inputs of 5 features"),
    ("d = layers.Dense(3)\nd.set_weights([np.ones(3)])", UsageError, "for 0 weights|call it on data first"),
    ("layers.Conv2D(8, 3)(images[..., 0])", ShapeError, "(batch, height, width, channels)|x[..., None]"),
    ("layers.Conv2D(8, 3)(images.astype(np.uint8))", DTypeError, "not uint8|layers.Rescaling(1 / 255)"),
    ("layers.Conv2D(8, 3)(images[:, :2, :2])", ShapeError, "the window spans 3 along H, where x has 2|padding='SAME'"),
    ("layers.Conv2D(8, (3, 3, 3))", AttributeValueError, "kernel_size must be a positive int or 2 of them"),
    ("layers.Embedding(10, 4)(np.array([[1, 20]]))", ShapeError, "there is an id 20|0 to 9"),
    ("layers.LSTM(4)(features)", ShapeError, "takes sequences [batch, time, features]"),
    ("layers.Dropout(1.5)", AttributeValueError, "rate must lie in [0, 1)|the fraction dropped"),
    ("layers.Concatenate()([features, features[:3]])", ShapeError, "extents of axis 0 differ|in layer 'conc"),
    ("layers.Reshape((2, 2))(features)", ShapeError, "the number of elements would change|in layer 'reshape"),
    ("""
     class Mine(layers.Layer):
         def __init__(self, units):
             self.units = units
     Mine(3)(features)
     """, UsageError, "not initialised|super().__init__()"),
    ("""
     class Mine(layers.Layer):
         def build(self, input_shape):
             self.w = self.add_weight("w", (input_shape[-1], 3))  # here
     Mine()(features)
     """, UsageError, "spec.shape[-1]|in layer 'mine"),
    ("""
     class Mine(layers.Layer):
         def call(self, x):
             return x @ corenn.ones((7, 2))  # here
     Mine()(features)
     """, ShapeError, "inner dimensions differ|in layer 'mine"),
    ("layers.Dense(3)()", UsageError, "was called on nothing"),
    ("layers.Dense(3)(None)", UsageError, "the input is None"),
    ("layers.Dense(3)([features, features])", UsageError, "takes one tensor|layers.Concatenate"),
    ("d = layers.Dense(3)\nd(features)\nd(features[0])", ShapeError, "at least 2 axes|x[None]"),
    ("layers.Dense(3, input_shape=(5,))", UsageError, "takes no argument 'input_shape'|layers.Input(shape)"),
    ("layers.LSTM(3, return_sequence=True)", UsageError, "did you mean 'return_sequences'"),
    ("optimizers.Adam(lr=0.1)", UsageError, "takes no argument 'lr'|it is called 'learning_rate'"),
    ("losses.CategoricalCrossentropy(from_logit=True)", UsageError, "did you mean 'from_logits'"),
    ("metrics.Accuracy(nme='a')", UsageError, "did you mean 'name'"),
    ("layers.Conv2D(8, 3, padding='smae')", AttributeValueError, "'smae'|'same', 'valid'"),
    ("layers.Conv2D(8, 3)(images[0, ..., 0])", ShapeError, "4 axes|x[None, ..., None]"),
    ("layers.MaxPooling2D(2)(images[..., 0])", ShapeError, "4 axes|x[..., None]"),
    ("corenn.image.resize(images[0, ..., 0], size=(16, 16))", ShapeError, "needs a batch axis|and has 2 axes"),
    ("""
     class Mine(layers.Layer):
         def forward(self, x):
             return x
     Mine()(features)
     """, UsageError, "does not define call()|rename forward to call"),
    ("i = layers.Input((5,))\nfloat(i)", UsageError, "symbolic and has no values"),
    ("i = layers.Input((5,))\nif i > 0:\n    pass", UsageError, "symbolic: it cannot decide yet|corenn.where"),
    ("i = layers.Input((5,))\n[row for row in i]", UsageError, "symbolic: its batch has no size yet"),
    # models
    ("Sequential(layers.Dense(3))", UsageError, "takes a list of layers"),
    ("Sequential([layers.Dense])", UsageError, "Dense(...), with brackets"),
    ("made = model()\nmade.fit(features, classes, verbose=0)\nmade.predict(features[0])", ShapeError, "at least 2|x[None]"),
    ("model().fit((features, classes))", UsageError, "takes one tensor, not a tuple|fit(x, y)"),
    ("model().fit(3.0)", ShapeError, "data needs a batch axis; a scalar was given"),
    ("Sequential([layers.Dense(3)]).fit(features, classes)", UsageError, "not compiled|model.compile("),
    ("Sequential([layers.Dense(3), 'relu'])", UsageError, "'relu' is not a layer"),
    ("Sequential([layers.Dense(3), nn.relu])", UsageError, "is not a layer|layers.Lambda"),
    ("Sequential([layers.Dense(3)]).compile('adma', 'mse')", UsageError, "no optimizer 'adma'|'adam'"),
    ("Sequential([layers.Dense(3)]).compile('adam', 'mes')", UsageError, "no loss 'mes'|did you mean 'mse'"),
    ("Sequential([layers.Dense(3)]).compile('adam', 'mse', metrics=['acuracy'])", UsageError, "'accuracy'"),
    ("layers.Input(8)", AttributeValueError, "shape must be a tuple|without the batch axis"),
    ("i = layers.Input((5,))\nModel(i, layers.Dense(3)(i))(features[:, :2])", ShapeError, "float32[batch, 5]"),
    ("i = layers.Input((5,))\nModel(i, layers.Dense(3)(i))(features[0])", ShapeError, "x[None]"),
    ("i, j = layers.Input((5,)), layers.Input((5,))\nModel(i, layers.Add()([i, j]))", UsageError, "among the inputs"),
    ("layers.Input((5,)).numpy()", UsageError, "symbolic and has no values|call the model on data"),
    ("model().get_layer('dens')", UsageError, "there is no layer 'dens'|did you mean 'dense"),
    ("model().fit(features[:9], classes)", ShapeError, "different numbers of examples|[9, 5]|[12]"),
    ("model().fit(features)", UsageError, "needs targets, and y is missing|fit(x, y)"),
    ("model().fit(features, one_hot)", ShapeError, "one-hot|categorical"),
    ("model(loss='categorical_crossentropy').fit(features, classes)", ShapeError, "sparse|depth=3"),
    ("model(loss='mse').fit(features, targets)", ShapeError, "differ in shape|float32[12, 3]"),
    ("model().fit(features, classes + 1)", ShapeError, "3|classes from 0"),
    ("model().fit(features, classes - 1)", ShapeError, "-1|classes from 0"),
    ("model(units=2).fit(features, classes)", ShapeError, "2|classes from 0"),
    ("model().fit(features, list('abcabcabcabc'))", DTypeError, "y holds text|return_inverse"),
    ("model().fit(None, classes)", UsageError, "there is no data|corenn.data.Dataset"),
    ("model().fit('data.csv')", UsageError, "cannot take data from text|np.loadtxt"),
    ("model().fit(features[:0], classes[:0])", DataError, "the data has no examples"),
    ("model().fit(features, classes, batch_size=0)", UsageError, "batch_size must be"),
    ("model().fit(features, classes, validation_split=1.5)", UsageError, "between 0 and 1"),
    ("model().fit(features, classes, sample_weight=np.ones(3))", ShapeError, "different numbers of examples"),
    ("model().fit(features, classes, class_weight={0: 1.0})", UsageError, "no weight for the classes"),
    ("model().fit(features, classes, callbacks=['early'])", UsageError, "'early' is not a callback"),
    ("model().fit(data.Dataset.from_tensor_slices((features, classes)).batch(4), classes)", UsageError, "a Dataset"),
    ("model().fit(data.Dataset.from_tensor_slices(features).repeat().batch(4))", DataError, "steps_per_epoch"),
    ("""
     made = model()
     made.fit(((features[i:i+4], classes[i:i+4]) for i in range(0, 12, 4)), epochs=2, verbose=0)
     """, DataError, "no batches in epoch 2|a generator can be read once"),
    ("""
     made = model()
     made.fit(features, classes, verbose=0)
     made.fit(features[:, :2], classes, verbose=0)
     """, ShapeError, "built for inputs of 5 features"),
    ("model().fit(features, classes, epochs='3')", UsageError, "epochs must be an integer"),
    ("""
     made = model(1, None)
     made.compile('adam', loss=lambda y, p: float(corenn.mean(p)))
     made.fit(features, targets, verbose=0)
     """, UsageError, "the loss must be a tensor|float"),
    ("""
     made = model(1, None)
     made.compile('adam', loss=lambda y, p: None)
     made.fit(features, targets, verbose=0)
     """, UsageError, "the loss must be a tensor|NoneType"),
    ("losses.MeanSquaredError(reduction='foo')", AttributeValueError, "'foo' is not one of sum_over_batch_size"),
    ("losses.sparse_categorical_crossentropy([0, -1], [[0.5, 0.5], [0.5, 0.5]])", ShapeError, "none of the 2 classes"),
    ("losses.sparse_categorical_crossentropy([0, 2], [[0.5, 0.5], [0.5, 0.5]])", ShapeError, "labels 0 to 2|3 units"),
    ("metrics.Accuracy().update_state([1, 2, 3], [1, 2])", ShapeError, "differ in shape"),
    ("metrics.ConfusionMatrix(3).update_state([0, 1, 5], [0, 2, 2])", ShapeError, "none of the 3 classes|0 to 5"),
    ("metrics.MeanMetricWrapper(lambda y, p: None)([1.0], [2.0])", UsageError, "returned nothing"),
    # saving and loading
    ("made = model()\nmade.load_weights(folder / 'nothing.safetensors')", CheckpointError, "does not exist"),
    ("""
     made = model()
     made(features)
     made.save_weights(folder / 'w.safetensors')
     model().load_weights(folder / 'w.safetensors')
     """, CheckpointError, "has no weights yet|call it on one batch first"),
    ("""
     made, other = model(), model(units=4)
     made(features), other(features)
     made.save_weights(folder / 'w.safetensors')
     other.load_weights(folder / 'w.safetensors')
     """, CheckpointError, "2 weights do not fit|(4, 3), the model's (4, 4)"),
    ("""
     (folder / 'bad.safetensors').write_text('hello there')
     corenn.checkpoint.load_file(folder / 'bad.safetensors')
     """, CheckpointError, "is not a safetensors file"),
    ("corenn.plugin.registry.get('dataset', 'mnits')", PluginError, "'mnits'|did you mean 'mnist'"),
    # data sets
    ("data.Dataset([1, 2, 3])", UsageError, "is not made of a list|from_tensor_slices"),
    ("data.Dataset.from_tensor_slices((features, classes[:3]))", ShapeError, "different lengths along the first axis"),
    ("data.Dataset.range(5).batch(0)", UsageError, "batch_size must be an integer of at least 1"),
    ("data.Dataset.range(5).map(3)", UsageError, "a function is needed"),
    ("data.Dataset.from_generator([1, 2, 3])", UsageError, "a function is needed"),
    ("data.Dataset.range(3).zip(data.Dataset.range(3))", UsageError, "only one dataset|Dataset.zip(a, b)"),
]  # fmt: skip


def line_of(cell):
    """The line of a cell at which its error belongs."""
    lines = textwrap.dedent(cell).strip().split("\n")
    marked = [i for i, line in enumerate(lines, 1) if line.endswith("# here")]
    code = [i for i, line in enumerate(lines, 1) if not line.startswith((" ", "\t"))]
    return marked[0] if marked else code[-1]


@pytest.mark.parametrize(("cell", "exception", "texts"), MISTAKES, ids=[m[0].strip()[:60] for m in MISTAKES])
def test_a_mistake_says_what_to_do(cell, exception, texts, notebook):
    with pytest.raises(exception) as caught:
        notebook(cell)
    error = caught.value
    for text in texts.split("|"):
        assert text in str(error)
    assert isinstance(error, CorennError)
    assert error.site == f"notebook.py:{line_of(cell)}"
    first, *rest = str(error).split("\n")
    assert ": " in first and all(line.startswith("  ") for line in rest)  # the layout of corenn.errors
    shown = "".join(traceback.format_exception(error))
    assert "During handling" not in shown  # an exception of corenn's own making that is nobody's business


def test_a_loss_that_is_no_number_says_where_to_look(notebook):
    with pytest.warns(
        TrainingWarning, match="the loss is nan in epoch 1: lower the learning rate.*from_logits"
    ) as caught:
        notebook("model().fit(features * np.nan, classes, epochs=2, verbose=0)")
    assert len(caught) == 1 and caught[0].filename == "notebook.py"
