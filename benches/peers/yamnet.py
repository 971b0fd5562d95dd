#!/usr/bin/env python3
"""YAMNet for the peers: our weights, the reference arrays, the log-mel, and the network's graphs.

    yamnet.py    write the network as ONNX into target/peers

In: the safetensors file that `sonoteca models pull yamnet` installed, and `tests/golden/yamnet`.
Out: the network as an ONNX model (channels first) or a TensorFlow function (channels last), both
with batch norms folded into the convolutions in float64, as sonoteca does; log-mel patches in numpy
in float32, which is what a Python pipeline would do.

Each library is imported where it is used, so that one that is missing stops only its own peer. ONNX
models are written ahead of all runs, which would otherwise hold the library that makes them.
"""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/yamnet"
MODELS = ROOT / "target/peers"

SAMPLE_RATE = 16_000
WINDOW, HOP, FFT_SIZE = 400, 160, 512
MELS, MEL_LOW_HZ, MEL_HIGH_HZ, LOG_OFFSET = 64, 125.0, 7_500.0, 0.001
PATCH_FRAMES, PATCH_HOP_FRAMES = 96, 48
# The shortest input, and what each further patch adds: 96 and 48 frames, the first with a window.
FIRST_SAMPLES = (PATCH_FRAMES - 1) * HOP + WINDOW
PATCH_HOP_SAMPLES = PATCH_HOP_FRAMES * HOP

NORM_EPSILON = 1e-4
# Strides of the thirteen depthwise convolutions.
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)

# Patches in a call of the network that is timed alone, and the name of a free number of them.
BATCHES = (1, 16)
ANY = "any"

Arrays = dict[str, np.ndarray]


class Golden(NamedTuple):
    """What Google's module makes of a sound."""

    name: str
    samples: np.ndarray
    log_mel: np.ndarray
    embeddings: np.ndarray


class Convolution(NamedTuple):
    """One convolution, its batch norm folded in, followed by a ReLU."""

    kind: str
    # `[outputs, inputs, height, width]`; depthwise `[channels, 1, height, width]`.
    kernel: np.ndarray
    bias: np.ndarray
    stride: int


class Network(NamedTuple):
    """The network's arithmetic, in order; the classifier's weight is `[1024, 521]`."""

    convolutions: list[Convolution]
    classifier_weight: np.ndarray
    classifier_bias: np.ndarray


def read_safetensors(path: Path) -> Arrays:
    """The float32 tensors of a safetensors file."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise ValueError(f"{path.name}: {name} is {entry['dtype']}, expected F32")
        first, last = entry["data_offsets"]
        values = np.frombuffer(data[start + first : start + last], dtype="<f4")
        arrays[name] = values.reshape(entry["shape"])
    return arrays


def golden() -> list[Golden]:
    """The reference arrays."""
    cases = []
    for path in sorted(GOLDEN.glob("*.safetensors")):
        arrays = read_safetensors(path)
        cases.append(Golden(path.stem, *(arrays[key] for key in Golden._fields[1:])))
    return cases


def installed_weights() -> Path:
    """The weights in the per-user store; src/model/store.rs follows the same rule."""
    if named := os.environ.get("SONOTECA_STORE"):
        store = Path(named)
    elif (data := os.environ.get("XDG_DATA_HOME")) and Path(data).is_absolute():
        store = Path(data) / "sonoteca"
    else:
        store = Path.home() / ".local/share/sonoteca"
    return store / "models/yamnet/yamnet.safetensors"


def network() -> Network:
    """The installed weights, folded."""
    arrays = read_safetensors(installed_weights())

    def folded(name: str, kind: str, stride: int) -> Convolution:
        scale = 1 / np.sqrt(arrays[f"{name}.norm.variance"].astype(np.float64) + NORM_EPSILON)
        kernel = arrays[f"{name}.weight"] * scale[:, None, None, None]
        bias = arrays[f"{name}.norm.bias"] - arrays[f"{name}.norm.mean"] * scale
        return Convolution(kind, kernel.astype(np.float32), bias.astype(np.float32), stride)

    convolutions = [folded("layer01.convolution", "full", 2)]
    for number, stride in enumerate(STRIDES, 2):
        convolutions.append(folded(f"layer{number:02}.depthwise", "depthwise", stride))
        convolutions.append(folded(f"layer{number:02}.pointwise", "full", 1))
    weight = np.ascontiguousarray(arrays["classifier.weight"].T)
    return Network(convolutions, weight, arrays["classifier.bias"])


def onnx_path(patches: int | str) -> Path:
    """Where the network for so many patches is, or for any number of them."""
    return MODELS / f"yamnet-{patches}.onnx"


def onnx_model(patches: int | str) -> bytes:
    """The network as ONNX: `[patches, 1, 96, 64]` to embeddings and scores.

    A number of patches makes static shapes, a name a free dimension.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    graph = network()
    nodes, constants = [], []

    def constant(name: str, array: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(array, name))
        return name

    maps = "patches"
    for index, convolution in enumerate(graph.convolutions):
        size = convolution.kernel.shape[2]
        # TensorFlow's "SAME": with stride 2, on even sizes, nothing before and one after.
        before = 1 if size == 3 and convolution.stride == 1 else 0
        after = 1 if size == 3 else 0
        inputs = [
            maps,
            constant(f"kernel{index}", convolution.kernel),
            constant(f"bias{index}", convolution.bias),
        ]
        nodes.append(
            helper.make_node(
                "Conv",
                inputs,
                [f"linear{index}"],
                kernel_shape=[size, size],
                strides=[convolution.stride] * 2,
                pads=[before, before, after, after],
                group=len(convolution.bias) if convolution.kind == "depthwise" else 1,
            )
        )
        maps = f"maps{index}"
        nodes.append(helper.make_node("Relu", [f"linear{index}"], [maps]))
    dense = [
        "embeddings",
        constant("classifier_weight", graph.classifier_weight),
        constant("classifier_bias", graph.classifier_bias),
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [maps], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["embeddings"]),
        helper.make_node("Gemm", dense, ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]

    def value(name: str, *shape: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [patches, *shape])

    embedding, classes = graph.classifier_weight.shape
    body = helper.make_graph(
        nodes,
        "yamnet",
        [value("patches", 1, PATCH_FRAMES, MELS)],
        [value("embeddings", embedding), value("scores", classes)],
        constants,
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def tensorflow_function(patches: int | str) -> Any:
    """The network as a TensorFlow function of constant weights: `[patches, 96, 64]` to both."""
    import tensorflow as tf

    graph = network()

    @tf.function(input_signature=[tf.TensorSpec([patches, PATCH_FRAMES, MELS], tf.float32)])
    def forward(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        maps = inputs[..., None]
        for convolution in graph.convolutions:
            strides = [1, convolution.stride, convolution.stride, 1]
            if convolution.kind == "depthwise":
                kernel = tf.constant(convolution.kernel.transpose(2, 3, 0, 1))
                maps = tf.nn.depthwise_conv2d(maps, kernel, strides, "SAME")
            else:
                kernel = tf.constant(convolution.kernel.transpose(2, 3, 1, 0))
                maps = tf.nn.conv2d(maps, kernel, strides, "SAME")
            maps = tf.nn.relu(tf.nn.bias_add(maps, tf.constant(convolution.bias)))
        embeddings = tf.reduce_mean(maps, [1, 2])
        logits = tf.matmul(embeddings, tf.constant(graph.classifier_weight))
        scores = tf.sigmoid(logits + tf.constant(graph.classifier_bias))
        return {"embeddings": embeddings, "scores": scores}

    return forward


def tensorflow_module(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Google's own module, front end included: samples to embeddings.

    Its variables are frozen, which lets TensorFlow fold the batch norms and fuse: a tenth faster.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2 as freeze,
    )

    yamnet = tf.saved_model.load(str(folder)).keras_api.layers[1].layer._func
    traced = tf.function(
        lambda samples: yamnet(samples)[1], input_signature=[tf.TensorSpec([None], tf.float32)]
    )
    frozen = freeze(traced.get_concrete_function())
    return lambda samples: frozen(tf.constant(samples))[0].numpy()


def mel_filters() -> np.ndarray:
    """`[257, 64]`: triangles linear in mel, the first row zero."""

    def mel(hertz: np.ndarray | float) -> np.ndarray:
        return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)

    bins = mel(np.linspace(0, SAMPLE_RATE / 2, FFT_SIZE // 2 + 1))[:, None]
    edges = np.linspace(mel(MEL_LOW_HZ), mel(MEL_HIGH_HZ), MELS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    filters = np.maximum(0, np.minimum(rising, falling))
    filters[0] = 0
    return filters.astype(np.float32)


FILTERS = mel_filters()
HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)).astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Mono float32 samples at 16 kHz to `[frames, 64]`, padded as the module does."""
    hops = max(0, -(-(len(samples) - FIRST_SAMPLES) // PATCH_HOP_SAMPLES))
    samples = np.pad(samples, (0, FIRST_SAMPLES + hops * PATCH_HOP_SAMPLES - len(samples)))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    magnitudes = np.abs(np.fft.rfft(frames * HANN, FFT_SIZE))
    return np.log(magnitudes @ FILTERS + np.float32(LOG_OFFSET))


def patches_of(frames: np.ndarray) -> np.ndarray:
    """Log-mel `[frames, 64]` to `[patches, 96, 64]`, a view."""
    windows = np.lib.stride_tricks.sliding_window_view(frames, PATCH_FRAMES, axis=0)
    return windows[::PATCH_HOP_FRAMES].transpose(0, 2, 1)


def lowest_cosine(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """The lowest cosine of a row with its reference; NaN, which passes no test, if any is."""
    found = []
    for ours, reference in pairs:
        if ours.shape != reference.shape:
            raise ValueError(f"embeddings are {ours.shape}, expected {reference.shape}")
        a, b = ours.astype(np.float64), reference.astype(np.float64)
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        found.append(np.min(np.sum(a * b, axis=1) / norms))
    return float(np.min(found))


if __name__ == "__main__":
    MODELS.mkdir(parents=True, exist_ok=True)
    for count in (*BATCHES, ANY):
        onnx_path(count).write_bytes(onnx_model(count))
