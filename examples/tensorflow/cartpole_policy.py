"""Policy gradient on CartPole of OpenAI Gym; the first agent acts at random.

The number of episodes may be given:  -- 300
"""

import json
import sys

import gym
import numpy as np
import tensorflow as tf

episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 120
gamma = 0.99

env = gym.make("CartPole-v0")
env.seed(1)
np.random.seed(1)
tf.set_random_seed(1)


def random_return():
    env.reset()
    total, done = 0.0, False
    while not done:
        _, reward, done, _ = env.step(np.random.randint(0, 2))
        total += reward
    return total


random_mean = np.mean([random_return() for _ in range(20)])
print("random agent: %.1f steps" % random_mean)

observations = tf.placeholder(tf.float32, [None, env.observation_space.shape[0]], name="input_x")
W1 = tf.get_variable("W1", shape=[4, 32], initializer=tf.contrib.layers.xavier_initializer())
layer1 = tf.nn.relu(tf.matmul(observations, W1))
W2 = tf.get_variable("W2", shape=[32, env.action_space.n], initializer=tf.contrib.layers.xavier_initializer())
logits = tf.matmul(layer1, W2)
probability = tf.nn.softmax(logits)

taken = tf.placeholder(tf.int32, [None], name="input_y")
advantages = tf.placeholder(tf.float32, [None], name="reward_signal")
neg_log_prob = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=taken, logits=logits)
loss = tf.reduce_mean(neg_log_prob * advantages)
train_op = tf.train.AdamOptimizer(0.02).minimize(loss)

lengths = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for episode in range(episodes):
        observation, done, xs, ys, rewards = env.reset(), False, [], [], []
        while not done:
            p = sess.run(probability, {observations: observation.reshape(1, -1)})[0]
            action = int(np.random.rand() > p[0])
            xs.append(observation)
            ys.append(action)
            observation, reward, done, info = env.step(action)
            rewards.append(reward)
        discounted, running = np.zeros(len(rewards)), 0.0
        for t in reversed(range(len(rewards))):
            running = running * gamma + rewards[t]
            discounted[t] = running
        discounted = (discounted - discounted.mean()) / (discounted.std() + 1e-8)
        sess.run(train_op, {observations: np.array(xs), taken: ys, advantages: discounted})
        lengths.append(len(rewards))
        if episode % 30 == 29:
            print("episode %d, mean length %.1f" % (episode + 1, np.mean(lengths[-30:])))
env.close()

print(
    "RESULT "
    + json.dumps({"episodes": episodes, "random_length": float(random_mean), "length": float(np.mean(lengths[-30:]))})
)
