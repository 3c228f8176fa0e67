"""Synthetic Keras models of today, with two inputs, and as SavedModel."""

import sys

import keras

folder = sys.argv[1]
keras.utils.set_random_seed(0)
left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
mixed = keras.layers.Dense(8, activation="relu")(keras.layers.Concatenate()([left, right]))
two = keras.Model(
    [left, right], [keras.layers.Dense(2, name="a")(mixed), keras.layers.Dense(1, name="b")(mixed)]
)
two.save(f"{folder}/two.keras")
picture = keras.Input((24, 32, 3), name="picture")
pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3, activation="relu")(picture))
net = keras.Model(picture, keras.layers.Dense(5, activation="softmax")(pooled))
net.save(f"{folder}/picture.keras")
net.export(f"{folder}/picture_saved", verbose=False)
program = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda one: one * 2)])
program.save(f"{folder}/program.keras")
