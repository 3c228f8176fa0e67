"""Synthetic Keras models of today, with two inputs, and as SavedModel."""

import sys

import keras
import tensorflow as tf

folder = sys.argv[1]
keras.utils.set_random_seed(0)
left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
mixed = keras.layers.Dense(8, activation="relu")(keras.layers.Concatenate()([left, right]))
two = keras.Model(
    [left, right], [keras.layers.Dense(2, name="a")(mixed), keras.layers.Dense(1, name="b")(mixed)]
)
two.save(f"{folder}/two.keras")
two.export(f"{folder}/two_saved", verbose=False)
picture = keras.Input((24, 32, 3), name="picture")
pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(picture))
net = keras.Model(picture, keras.layers.Dense(5, activation="softmax")(pooled))
net.save(f"{folder}/picture.keras")
net.export(f"{folder}/picture_saved", verbose=False)
program = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda one: one * 2)])
program.save(f"{folder}/program.keras")


class Mixer(tf.Module):
    """Two inputs that look alike, and two outputs that do, named against the alphabet and the order of computing."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.random.stateless_normal((4, 4), (0, 1)))

    @tf.function(
        input_signature=[tf.TensorSpec((None, 4), name="plus"), tf.TensorSpec((None, 4), name="minus")]
    )
    def mix(self, plus, minus):
        between = tf.matmul(plus, self.weight) - minus
        return {"sum": tf.nn.relu(between), "difference": between}


mixer = Mixer()
tf.saved_model.save(mixer, f"{folder}/mixer_saved", signatures=mixer.mix)
