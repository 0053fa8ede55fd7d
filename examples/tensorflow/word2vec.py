"""Skip-gram word vectors with noise-contrastive estimation, on a text that is made up from a grammar."""

import collections
import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

# a text in which the words of a group occur in the same places
groups = {
    "animal": ["cat", "dog", "horse", "sheep"],
    "verb": ["eats", "likes", "sees", "finds"],
    "food": ["grass", "bread", "fruit", "cheese"],
    "place": ["field", "house", "garden", "barn"],
}
text_words = []
for _ in range(1500):
    a, v, f, p = (np.random.choice(groups[g]) for g in ("animal", "verb", "food", "place"))
    text_words += ["the", a, v, f, "in", "the", p, "today"]

count = collections.Counter(text_words).most_common()
word2id = {word: i for i, (word, _) in enumerate(count)}
id2word = {i: word for word, i in word2id.items()}
data = [word2id[word] for word in text_words]
vocabulary_size = len(word2id)

learning_rate = 0.2
batch_size = 128
num_steps = 1500
embedding_size = 16
skip_window = 2
num_sampled = 8


def next_batch(batch_size):
    centres = np.random.randint(skip_window, len(data) - skip_window, batch_size)
    offsets = np.random.choice([o for o in range(-skip_window, skip_window + 1) if o != 0], batch_size)
    return np.take(data, centres).astype(np.int32), np.take(data, centres + offsets).astype(np.int32).reshape(-1, 1)


X = tf.placeholder(tf.int32, shape=[None])
Y = tf.placeholder(tf.int32, shape=[None, 1])

with tf.device("/cpu:0"):
    embedding = tf.Variable(tf.random_uniform([vocabulary_size, embedding_size], -1.0, 1.0))
    X_embed = tf.nn.embedding_lookup(embedding, X)
    nce_weights = tf.Variable(tf.truncated_normal([vocabulary_size, embedding_size], stddev=0.1))
    nce_biases = tf.Variable(tf.zeros([vocabulary_size]))

loss_op = tf.reduce_mean(
    tf.nn.nce_loss(
        weights=nce_weights,
        biases=nce_biases,
        labels=Y,
        inputs=X_embed,
        num_sampled=num_sampled,
        num_classes=vocabulary_size,
    )
)
train_op = tf.train.AdagradOptimizer(learning_rate).minimize(loss_op)

# cosine similarity between the words
embedding_norm = embedding / tf.sqrt(tf.reduce_sum(tf.square(embedding), 1, keepdims=True))
cosine_sim_op = tf.matmul(embedding_norm, embedding_norm, transpose_b=True)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    losses = []
    for step in range(1, num_steps + 1):
        batch_x, batch_y = next_batch(batch_size)
        _, loss = sess.run([train_op, loss_op], feed_dict={X: batch_x, Y: batch_y})
        losses.append(loss)
        if step % 500 == 0 or step == 1:
            print("Step " + str(step) + ", Average Loss= " + "{:.4f}".format(np.mean(losses[-500:])))
    sim = sess.run(cosine_sim_op)

group_of = {word: g for g, words in groups.items() for word in words}
hits = 0
for word in group_of:
    order = [id2word[i] for i in np.argsort(-sim[word2id[word]]) if id2word[i] in group_of and id2word[i] != word]
    hits += int(group_of[order[0]] == group_of[word])
    if word in ("cat", "bread"):
        print('"%s" nearest neighbors: %s' % (word, ", ".join(order[:3])))

print(
    "RESULT "
    + json.dumps(
        {
            "first_loss": float(np.mean(losses[:50])),
            "loss": float(np.mean(losses[-50:])),
            "nearest_in_the_same_group": hits,
            "words": len(group_of),
        }
    )
)
