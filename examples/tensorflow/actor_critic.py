"""Advantage actor-critic (A2C): several environments at once, two heads, entropy bonus, n-step returns."""

import json

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)


class Grid(object):
    """A 4x4 grid; the goal is where the observation says; reward 1 on reaching it, -0.02 a step, at most 20 steps."""

    size = 4
    moves = [(0, 1), (0, -1), (1, 0), (-1, 0)]

    def reset(self):
        cells = np.random.choice(self.size**2, 2, replace=False)
        self.agent = [int(v) for v in divmod(cells[0], self.size)]
        self.goal = [int(v) for v in divmod(cells[1], self.size)]
        self.steps = 0
        return self.observe()

    def observe(self):
        return np.array(self.agent + self.goal, dtype=np.float32) / (self.size - 1) * 2 - 1

    def step(self, action):
        self.steps += 1
        for axis in range(2):
            self.agent[axis] = min(max(self.agent[axis] + self.moves[action][axis], 0), self.size - 1)
        reached = self.agent == self.goal
        return self.observe(), (1.0 if reached else -0.02), reached or self.steps >= 20


num_envs, n_steps, updates, gamma = 16, 5, 400, 0.95

obs = tf.placeholder(tf.float32, [None, 4])
actions = tf.placeholder(tf.int32, [None])
returns = tf.placeholder(tf.float32, [None])

with tf.variable_scope("model"):
    h = tf.layers.dense(obs, 64, tf.nn.tanh, kernel_initializer=tf.orthogonal_initializer(np.sqrt(2)))
    h = tf.layers.dense(h, 64, tf.nn.tanh, kernel_initializer=tf.orthogonal_initializer(np.sqrt(2)))
    logits = tf.layers.dense(h, 4, kernel_initializer=tf.orthogonal_initializer(0.01))
    value = tf.squeeze(tf.layers.dense(h, 1), axis=1)

# Gumbel noise makes argmax a sample of the policy
noise = -tf.log(-tf.log(tf.random_uniform(tf.shape(logits), minval=1e-6, maxval=1 - 1e-6)))
sample = tf.argmax(logits + noise, axis=1)

advantage = returns - value
neg_log_p = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=logits)
probabilities = tf.nn.softmax(logits)
entropy = tf.reduce_mean(-tf.reduce_sum(probabilities * tf.nn.log_softmax(logits), axis=1))
policy_loss = tf.reduce_mean(tf.stop_gradient(advantage) * neg_log_p)
value_loss = tf.reduce_mean(tf.square(advantage))
loss = policy_loss + 0.5 * value_loss - 0.01 * entropy

optimizer = tf.train.AdamOptimizer(0.003, epsilon=1e-5)
grads, variables = zip(*optimizer.compute_gradients(loss))
grads, norm = tf.clip_by_global_norm(grads, 0.5)
train_op = optimizer.apply_gradients(list(zip(grads, variables)))

envs = [Grid() for _ in range(num_envs)]
states = np.array([env.reset() for env in envs])
episode_returns, running = [], np.zeros(num_envs)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for update in range(updates):
        b_obs, b_actions, b_rewards, b_dones = [], [], [], []
        for _ in range(n_steps):
            chosen = sess.run(sample, {obs: states})
            rewards, dones, next_states = [], [], []
            for env, action in zip(envs, chosen):
                s, r, d = env.step(action)
                rewards.append(r)
                dones.append(d)
                next_states.append(env.reset() if d else s)
            b_obs.append(states)
            b_actions.append(chosen)
            b_rewards.append(rewards)
            b_dones.append(dones)
            running += rewards
            for i in np.nonzero(dones)[0]:
                episode_returns.append(running[i])
                running[i] = 0.0
            states = np.array(next_states)
        target = sess.run(value, {obs: states})
        b_returns = []
        for r, d in zip(reversed(b_rewards), reversed(b_dones)):
            target = np.array(r) + gamma * target * (1 - np.array(d, dtype=np.float32))
            b_returns.append(target)
        feed = {
            obs: np.concatenate(b_obs),
            actions: np.concatenate(b_actions),
            returns: np.concatenate(b_returns[::-1]),
        }
        _, vl, e = sess.run([train_op, value_loss, entropy], feed)
        if update % 100 == 99:
            print(
                "update %d, mean return %.3f, value loss %.4f, entropy %.3f"
                % (update + 1, np.mean(episode_returns[-100:]), vl, e)
            )

print(
    "RESULT "
    + json.dumps(
        {
            "first_return": float(np.mean(episode_returns[:100])),
            "return": float(np.mean(episode_returns[-100:])),
            "episodes": len(episode_returns),
            "entropy": float(e),
        }
    )
)
