"""Double dueling DQN: value and advantage streams, a target network moved softly, experience replay."""

import json
import random

import numpy as np
import tensorflow as tf

np.random.seed(0)
random.seed(0)
tf.set_random_seed(0)


class Collector(object):
    """An agent on a ring of ten cells gathers the apple; there is poison elsewhere.  One apple ends an episode."""

    cells = 10

    def reset(self):
        self.agent, self.apple, self.poison = np.random.choice(self.cells, 3, replace=False)
        self.steps = 0
        return self.observe()

    def observe(self):
        eye = np.eye(self.cells)
        # what lies where, as the agent sees it
        ahead = [(place - self.agent) % self.cells for place in (self.apple, self.poison)]
        return np.concatenate([eye[ahead[0]], eye[ahead[1]]])

    def step(self, action):
        self.steps += 1
        self.agent = (self.agent + [-1, 1][action]) % self.cells
        reward = 1.0 if self.agent == self.apple else (-1.0 if self.agent == self.poison else -0.01)
        return self.observe(), reward, self.agent == self.apple or self.steps >= 25


class Qnetwork(object):
    def __init__(self, scope):
        with tf.variable_scope(scope):
            self.state = tf.placeholder(tf.float32, [None, 2 * Collector.cells])
            hidden = tf.layers.dense(self.state, 64, tf.nn.relu)
            streamA, streamV = tf.split(hidden, 2, axis=1)
            self.Advantage = tf.layers.dense(streamA, 2, use_bias=False)
            self.Value = tf.layers.dense(streamV, 1, use_bias=False)
            # Then combine them together to get our final Q-values.
            self.Qout = self.Value + tf.subtract(self.Advantage, tf.reduce_mean(self.Advantage, axis=1, keep_dims=True))
            self.predict = tf.argmax(self.Qout, 1)
            # the loss: the squared difference between the target and prediction Q values
            self.targetQ = tf.placeholder(shape=[None], dtype=tf.float32)
            self.actions = tf.placeholder(shape=[None], dtype=tf.int32)
            self.Q = tf.reduce_sum(tf.multiply(self.Qout, tf.one_hot(self.actions, 2, dtype=tf.float32)), axis=1)
            self.loss = tf.reduce_mean(tf.square(self.targetQ - self.Q))
            self.updateModel = tf.train.AdamOptimizer(learning_rate=0.003).minimize(
                self.loss, var_list=tf.trainable_variables(scope)
            )


tau, gamma, batch_size, episodes = 0.01, 0.95, 32, 250
mainQN, targetQN = Qnetwork("main"), Qnetwork("target")
target_ops = [
    t.assign(tau * m.value() + (1 - tau) * t.value())
    for m, t in zip(tf.trainable_variables("main"), tf.trainable_variables("target"))
]

env, buffer, returns, e = Collector(), [], [], 1.0
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for episode in range(episodes):
        s, done, total = env.reset(), False, 0.0
        while not done:
            if np.random.rand() < e:
                a = np.random.randint(2)
            else:
                a = sess.run(mainQN.predict, {mainQN.state: [s]})[0]
            s1, r, done = env.step(a)
            buffer.append((s, a, r, s1, done))
            s, total = s1, total + r
            if len(buffer) > 200:
                rows = random.sample(buffer[-5000:], batch_size)
                bs, ba, br, bs1, bd = (np.array(column) for column in zip(*rows))
                # double DQN: the main network chooses, the target network judges
                best = sess.run(mainQN.predict, {mainQN.state: bs1})
                judged = sess.run(targetQN.Qout, {targetQN.state: bs1})[np.arange(batch_size), best]
                _, loss = sess.run(
                    [mainQN.updateModel, mainQN.loss],
                    {mainQN.state: bs, mainQN.targetQ: br + gamma * judged * (1 - bd), mainQN.actions: ba},
                )
                sess.run(target_ops)
        e = max(0.05, e - 1.0 / 120)
        returns.append(total)
        if episode % 50 == 49:
            print("episode %d, mean return %.3f, epsilon %.2f" % (episode + 1, np.mean(returns[-50:]), e))

print(
    "RESULT "
    + json.dumps(
        {"first_return": float(np.mean(returns[:50])), "return": float(np.mean(returns[-50:])), "loss": float(loss)}
    )
)
