"""TensorFlow 2: Grad-CAM, filters that an image excites, integrated gradients, `K.function`."""

import json

import numpy as np
import tensorflow as tf
from tensorflow import keras
import matplotlib

matplotlib.use("Agg")


def make():
    inputs = keras.Input((64, 64, 3))
    x = keras.layers.Conv2D(8, 3, activation="relu", padding="same")(inputs)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Conv2D(16, 3, activation="relu", padding="same", name="last_conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    out = keras.layers.Dense(5, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, out)


def make_gradcam_heatmap(img_array, model, last_conv_layer_name, classifier_layer_names):
    last_conv_layer = model.get_layer(last_conv_layer_name)
    last_conv_layer_model = keras.Model(model.inputs, last_conv_layer.output)
    classifier_input = keras.Input(shape=last_conv_layer.output.shape[1:])
    x = classifier_input
    for layer_name in classifier_layer_names:
        x = model.get_layer(layer_name)(x)
    classifier_model = keras.Model(classifier_input, x)
    with tf.GradientTape() as tape:
        last_conv_layer_output = last_conv_layer_model(img_array)
        tape.watch(last_conv_layer_output)
        preds = classifier_model(last_conv_layer_output)
        top_pred_index = tf.argmax(preds[0])
        top_class_channel = preds[:, top_pred_index]
    grads = tape.gradient(top_class_channel, last_conv_layer_output)
    pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
    last_conv_layer_output = last_conv_layer_output.numpy()[0]
    pooled_grads = pooled_grads.numpy()
    for i in range(pooled_grads.shape[-1]):
        last_conv_layer_output[:, :, i] *= pooled_grads[i]
    heatmap = np.mean(last_conv_layer_output, axis=-1)
    heatmap = np.maximum(heatmap, 0) / (np.max(heatmap) + 1e-9)
    return heatmap


model = make()
model.layers[-1].activation = None
img = np.random.rand(1, 64, 64, 3).astype("float32")
h1 = make_gradcam_heatmap(img, model, "last_conv", [model.layers[-2].name, "predictions"])
print(h1.shape)


def make_gradcam_heatmap2(img_array, model, last_conv_layer_name, pred_index=None):
    grad_model = tf.keras.models.Model([model.inputs], [model.get_layer(last_conv_layer_name).output, model.output])
    with tf.GradientTape() as tape:
        last_conv_layer_output, preds = grad_model(img_array)
        if pred_index is None:
            pred_index = tf.argmax(preds[0])
        class_channel = preds[:, pred_index]
    grads = tape.gradient(class_channel, last_conv_layer_output)
    pooled_grads = tf.reduce_mean(grads, axis=(0, 1, 2))
    last_conv_layer_output = last_conv_layer_output[0]
    heatmap = last_conv_layer_output @ pooled_grads[..., tf.newaxis]
    heatmap = tf.squeeze(heatmap)
    heatmap = tf.maximum(heatmap, 0) / (tf.math.reduce_max(heatmap) + 1e-9)
    return heatmap.numpy()


h2 = make_gradcam_heatmap2(img, model, "last_conv")
print(h2.shape)
heatmap = np.uint8(255 * h2)
jet = matplotlib.colormaps["jet"]
jet_colors = jet(np.arange(256))[:, :3]
jet_heatmap = jet_colors[heatmap]
jet_heatmap = keras.preprocessing.image.array_to_img(jet_heatmap)
jet_heatmap = jet_heatmap.resize((img.shape[2], img.shape[1]))
jet_heatmap = keras.preprocessing.image.img_to_array(jet_heatmap)
superimposed_img = jet_heatmap * 0.4 + img[0]
keras.preprocessing.image.array_to_img(superimposed_img).save("cam.jpg")
# filters
feature_extractor = keras.Model(inputs=model.inputs, outputs=model.get_layer("last_conv").output)


def compute_loss(input_image, filter_index):
    activation = feature_extractor(input_image)
    filter_activation = activation[:, 2:-2, 2:-2, filter_index]
    return tf.reduce_mean(filter_activation)


@tf.function
def gradient_ascent_step(img, filter_index, learning_rate):
    with tf.GradientTape() as tape:
        tape.watch(img)
        loss = compute_loss(img, filter_index)
    grads = tape.gradient(loss, img)
    grads = tf.math.l2_normalize(grads)
    img += learning_rate * grads
    return loss, img


def initialize_image():
    img = tf.random.uniform((1, 64, 64, 3))
    return (img - 0.5) * 0.25


def visualize_filter(filter_index):
    img = initialize_image()
    for iteration in range(5):
        loss, img = gradient_ascent_step(img, filter_index, 10.0)
    return loss, img[0].numpy()


for filter_index in range(2):
    loss, im = visualize_filter(filter_index)
    print(filter_index, float(loss))


# integrated gradients
def get_gradients(img_input, top_pred_idx):
    images = tf.cast(img_input, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        preds = model(images)
        top_class = preds[:, top_pred_idx]
    return tape.gradient(top_class, images)


def get_integrated_gradients(img_input, top_pred_idx, baseline=None, num_steps=10):
    if baseline is None:
        baseline = np.zeros(img_input.shape[1:]).astype(np.float32)
    img_input = img_input.astype(np.float32)
    interpolated_image = [baseline + (step / num_steps) * (img_input - baseline) for step in range(num_steps + 1)]
    interpolated_image = np.array(interpolated_image).astype(np.float32)
    grads = []
    for i, img in enumerate(interpolated_image):
        grad = get_gradients(img, top_pred_idx=top_pred_idx)
        grads.append(grad[0])
    grads = tf.convert_to_tensor(grads, dtype=tf.float32)
    grads = (grads[:-1] + grads[1:]) / 2.0
    avg_grads = tf.reduce_mean(grads, axis=0)
    return (img_input - baseline) * avg_grads


ig = get_integrated_gradients(img, 1)
print(ig.shape)
diff = float(model(img)[0, 1] - model(np.zeros_like(img))[0, 1])
print(diff, float(tf.reduce_sum(ig)))
# K.function and K.gradients-free
from tensorflow.keras import backend as K

get_3rd_layer_output = K.function([model.layers[0].input], [model.layers[3].output])
layer_output = get_3rd_layer_output([img])[0]
print(layer_output.shape)
f = K.function([model.input], [l.output for l in model.layers])
print([o.shape for o in f([img])])

print(
    "RESULT",
    json.dumps(
        {
            "maps_differ": float(np.abs(h1 / h1.max() - h2 / h2.max()).max()),
            "attributed": float(tf.reduce_sum(ig)),
            "difference": diff,
            "outputs": len(f([img])),
        }
    ),
)
