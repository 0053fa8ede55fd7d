"""REINFORCE with a baseline in a corridor: walk right to the goal, every step costs.

Gradients are summed over episodes and applied through placeholders.
"""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)


class Corridor(object):
    """Cells 0..6, start in the middle; 1 for the right end, -1 for the left end, -0.05 a step; 30 steps at most."""

    cells = 7

    def reset(self):
        self.position, self.steps = self.cells // 2, 0
        return self.observe()

    def observe(self):
        return np.eye(self.cells)[self.position]

    def step(self, action):
        self.steps += 1
        if np.random.rand() < 0.1:  # the floor is slippery
            action = 1 - action
        self.position += 1 if action == 1 else -1
        at_end = self.position in (0, self.cells - 1)
        reward = -0.05 + (0 if not at_end else (1.0 if self.position else -1.0))
        return self.observe(), reward, at_end or self.steps >= 30, {}


def discount_rewards(rewards, gamma=0.99):
    discounted, running = np.zeros(len(rewards)), 0.0
    for t in reversed(range(len(rewards))):
        running = running * gamma + rewards[t]
        discounted[t] = running
    return discounted


state_in = tf.placeholder(tf.float32, [None, Corridor.cells])
action_holder = tf.placeholder(tf.int32, [None])
reward_holder = tf.placeholder(tf.float32, [None])

hidden = tf.contrib.layers.fully_connected(state_in, 16, activation_fn=tf.nn.relu)
logits = tf.contrib.layers.fully_connected(hidden, 2, activation_fn=None, biases_initializer=None)
policy = tf.nn.softmax(logits)

# the probabilities of the actions taken, by their index in the flattened policy
indexes = tf.range(0, tf.shape(policy)[0]) * tf.shape(policy)[1] + action_holder
responsible = tf.gather(tf.reshape(policy, [-1]), indexes)
loss = -tf.reduce_mean(tf.log(responsible) * reward_holder)

# gradients are gathered over several episodes and then applied through placeholders
tvars = tf.trainable_variables()
gradient_holders = [tf.placeholder(tf.float32, name=str(i) + "_holder") for i in range(len(tvars))]
gradients = tf.gradients(loss, tvars)
update_batch = tf.train.AdamOptimizer(0.02).apply_gradients(zip(gradient_holders, tvars))

env, returns, baseline = Corridor(), [], 0.0
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    buffer = [np.zeros_like(g) for g in sess.run(tvars)]
    for episode in range(300):
        state, done, history = env.reset(), False, []
        while not done:
            p = sess.run(policy, {state_in: [state]})[0]
            action = np.random.choice(2, p=p / p.sum())
            next_state, reward, done, _ = env.step(action)
            history.append((state, action, reward))
            state = next_state
        states, actions, rewards = zip(*history)
        returns.append(sum(rewards))
        grads = sess.run(
            gradients, {state_in: states, action_holder: actions, reward_holder: discount_rewards(rewards) - baseline}
        )
        baseline += 0.05 * (returns[-1] - baseline)
        for i, g in enumerate(grads):
            buffer[i] += g
        if episode % 5 == 4:
            sess.run(update_batch, dict(zip(gradient_holders, buffer)))
            buffer = [np.zeros_like(g) for g in buffer]
        if episode % 100 == 99:
            print("episode %d, mean return %.3f" % (episode + 1, np.mean(returns[-100:])))
    right = sess.run(policy, {state_in: np.eye(Corridor.cells)})[1:-1, 1]

print(
    "RESULT "
    + json.dumps(
        {
            "first_return": float(np.mean(returns[:50])),
            "return": float(np.mean(returns[-50:])),
            "probability_of_right": [round(float(v), 3) for v in right],
        }
    )
)
