"""``tf.contrib``: conditional random fields, lookup tables, SciPy's optimizers, vocabularies, slim's lists."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(7)


def test_a_conditional_random_field_against_all_sequences(tf1: Any) -> None:
    crf = tf1.contrib.crf
    scores, moves = RNG.normal(size=(3, 4, 3)).astype(np.float32), RNG.normal(size=(3, 3)).astype(np.float32)
    tags, lengths = RNG.integers(0, 3, (3, 4)), np.array([4, 1, 2])

    def score(i: int, path: Any) -> float:
        inner = sum(moves[a, b] for a, b in itertools.pairwise(path))
        return float(sum(scores[i, t, tag] for t, tag in enumerate(path)) + inner)

    ways = [{p: score(i, p) for p in itertools.product(range(3), repeat=n)} for i, n in enumerate(lengths)]
    wanted = [
        w[tuple(t[:n])] - np.log(np.sum(np.exp(list(w.values())))) for w, t, n in zip(ways, tags, lengths, strict=True)
    ]
    x = tf1.placeholder(tf1.float32, [None, None, 3])
    found, params = crf.crf_log_likelihood(x, tags, lengths, tf1.constant(moves))
    best, value = crf.crf_decode(x, params, lengths)
    slope = tf1.gradients(found, x)[0]
    with tf1.Session() as sess:
        likelihood, paths, values, slopes = sess.run([found, best, value, slope], {x: scores})
    np.testing.assert_allclose(likelihood, wanted, rtol=1e-4)
    for i, n in enumerate(lengths):
        top = max(ways[i], key=lambda p: ways[i][p])
        assert tuple(paths[i, :n]) == top and not paths[i, n:].any() and not slopes[i, n:].any()
        assert crf.viterbi_decode(scores[i, :n], moves)[0] == list(top)
        np.testing.assert_allclose(values[i], ways[i][top], rtol=1e-5)


def test_tables_are_filled_by_their_initializers(tf1: Any, tmp_path: Any) -> None:
    lookup = tf1.contrib.lookup
    (tmp_path / "words.txt").write_text("x\ny\n")
    words = lookup.index_table_from_file(str(tmp_path / "words.txt"), num_oov_buckets=1)
    names = lookup.index_to_string_table_from_tensor(["a", "b"], default_value="?")
    pairs = lookup.HashTable(lookup.KeyValueTensorInitializer(["k"], [5]), -1)
    given = tf1.placeholder(tf1.string, [None])
    found = [words.lookup(given), names.lookup(tf1.constant([1, 7], tf1.int64)), pairs.lookup(given)]
    with tf1.Session() as sess:
        with pytest.raises(tf1.errors.FailedPreconditionError, match="Table not initialized"):
            sess.run(found[2], {given: ["k"]})
        sess.run(tf1.tables_initializer())
        a, b, c = sess.run(found, {given: ["y", "k"]})
    assert a.tolist() == [1, 2] and b.tolist() == [b"b", b"?"] and c.tolist() == [-1, 5]


def test_a_table_that_a_program_changes(tf1: Any) -> None:
    table = tf1.contrib.lookup.MutableHashTable(tf1.string, tf1.int64, -1)
    put = table.insert(["a", "b"], tf1.constant([1, 2], tf1.int64))
    with tf1.Session() as sess:
        sess.run(put)
        assert sess.run([table.lookup(tf1.constant(["b", "c"])), table.size()])[0].tolist() == [2, -1]
    with tf1.Session() as sess:
        assert sess.run(table.size()) == 0  # each session has its own


def test_scipy_minimises_within_bounds(tf1: Any) -> None:
    pytest.importorskip("scipy")
    v = tf1.Variable([5.0, -4.0])
    loss = tf1.reduce_sum(tf1.square(v - [1.0, 2.0]))
    seen: list[float] = []
    optimizer = tf1.contrib.opt.ScipyOptimizerInterface(loss, var_to_bounds={v: (-np.inf, 1.5)})
    with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        optimizer.minimize(sess, fetches=[loss], loss_callback=seen.append)
        np.testing.assert_allclose(sess.run(v), [1.0, 1.5], atol=1e-4)
    assert seen[0] == 36.25 and min(seen) < 0.2501


def test_a_vocabulary_is_kept_and_read_again(tf1: Any, tmp_path: Any) -> None:
    made = tf1.contrib.learn.preprocessing.VocabularyProcessor(4)
    rows = list(made.fit_transform(["a bb a", "c bb d e f"]))
    np.testing.assert_array_equal(rows, [[1, 2, 1, 0], [3, 2, 4, 5]])
    made.save(tmp_path / "vocabulary")
    again = tf1.contrib.learn.preprocessing.VocabularyProcessor.restore(tmp_path / "vocabulary")
    np.testing.assert_array_equal(list(again.transform(["d zz"])), [[4, 0, 0, 0]])
    assert list(again.reverse([[1, 0]])) == ["a <UNK>"] and len(again.vocabulary_) == 7


def test_slim_lists_variables(tf1: Any, capsys: Any) -> None:
    tf1.get_variable("w", [3, 4])
    assert tf1.contrib.slim.model_analyzer.analyze_vars(tf1.global_variables(), print_info=True) == (12, 48)
    assert "w:0 (float32_ref 3x4) [12, bytes: 48]" in capsys.readouterr().out


def test_the_projector_is_told_of_embeddings(tf1: Any, tmp_path: Any) -> None:
    from corenn_tensorflow.contrib.tensorboard.plugins import projector

    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name, embedding.metadata_path = "emb:0", "labels.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([28, 28])
    projector.visualize_embeddings(tf1.summary.FileWriter(str(tmp_path)), config)
    assert (tmp_path / "projector_config.pbtxt").read_text() == (
        'embeddings {\n  tensor_name: "emb:0"\n  metadata_path: "labels.tsv"\n  sprite {\n'
        '    image_path: "sprite.png"\n    single_image_dim: 28\n    single_image_dim: 28\n  }\n}\n'
    )


def test_averages_in_a_branch(tf1: Any) -> None:
    train = tf1.placeholder(tf1.bool, [])
    x = tf1.placeholder(tf1.float32, [2])
    mean = tf1.get_variable("mean", [2], initializer=tf1.zeros_initializer(), trainable=False)
    moving_averages = __import__("corenn_tensorflow.train.moving_averages", fromlist=["x"])

    def moved() -> Any:
        with tf1.control_dependencies([moving_averages.assign_moving_average(mean, x, 0.5, zero_debias=False)]):
            return tf1.identity(x)

    y = tf1.cond(train, moved, lambda: mean)
    with tf1.Session() as sess:
        sess.run(tf1.global_variables_initializer())
        sess.run(y, {x: [4.0, 8.0], train: True})
        np.testing.assert_array_equal(sess.run(y, {x: [0.0, 0.0], train: False}), [2.0, 4.0])


def test_six_for_scripts_that_expect_it() -> None:
    from corenn_tensorflow import six_shim as six

    assert list(six.moves.xrange(3)) == [0, 1, 2] and six.moves.urllib.parse.quote("a b") == "a%20b"
    assert dict(six.iteritems({"a": 1})) == {"a": 1} and isinstance("", six.string_types) and six.PY3
    meta = type("Meta", (type,), {})
    assert type(six.with_metaclass(meta, object)) is meta and type(six.add_metaclass(meta)(type("C", (), {}))) is meta
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = six.moves.nothing
