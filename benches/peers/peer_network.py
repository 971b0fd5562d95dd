#!/usr/bin/env python3
"""One runtime's YAMNet on one thread, for run.py: checked first, then timed on request.

    peer_network.py RUNTIME PRECISION [MODULE_FOLDER]

Prints one JSON object with the lowest cosine to the reference embeddings, then, for each line
`BATCH SECONDS` on standard input, one with the patches per second over that time. Keeping the
runtimes alive beside each other lets run.py take them in turns.

Shapes are static. All compute embeddings and scores; the input is the reference's patches, but for
the module, which takes samples and pays for its own front end.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Before numpy and the runtimes read it; each is told again by its own option.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import numpy as np
import yamnet

WARM_UP_S = 0.5

Run = Callable[[np.ndarray], np.ndarray]
Work = Callable[[], object]


def onnxruntime(_precision: str, batch: int | str) -> Run:
    """Channels first; at this level ONNX Runtime blocks the channels itself where it can."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = runtime.InferenceSession(
        yamnet.onnx_path(batch), options, providers=["CPUExecutionProvider"]
    )
    return lambda patches: session.run(["embeddings", "scores"], {"patches": patches[:, None]})[0]


def openvino(precision: str, batch: int | str) -> Run:
    """Channels first; the plugin chooses its own layouts."""
    from openvino import Core

    core = Core()
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    model = core.compile_model(core.read_model(yamnet.onnx_path(batch)), "CPU", options)
    used = model.get_property("INFERENCE_PRECISION_HINT").to_string()
    if used != {"f32": "f32", "bf16": "bf16"}[precision]:
        raise RuntimeError(f"this processor has no {precision}: OpenVINO uses {used}")
    request = model.create_infer_request()

    def run(patches: np.ndarray) -> np.ndarray:
        return request.infer([patches[:, None]], share_inputs=True, share_outputs=True)[0]

    return run


def litert(_precision: str, batch: int | str) -> Run:
    """Channels last; XNNPACK is LiteRT's default on a processor."""
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    forward = yamnet.tensorflow_function(batch)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [forward.get_concrete_function()], forward
    )
    interpreter = Interpreter(model_content=converter.convert(), num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (target,) = (out for out in interpreter.get_output_details() if out["shape"][-1] == 1024)

    def run(patches: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], patches)
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return run


def single_threaded_tensorflow() -> None:
    """Must come before TensorFlow does anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def tensorflow(_precision: str, batch: int | str) -> Run:
    """Channels last, weights constant."""
    import tensorflow as tf

    single_threaded_tensorflow()
    forward = yamnet.tensorflow_function(batch).get_concrete_function()
    return lambda patches: forward(tf.constant(patches))["embeddings"].numpy()


RUNTIMES = {
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "litert": litert,
    "tensorflow": tensorflow,
}


def load_network(name: str, precision: str) -> tuple[float, dict[int, Work]]:
    """The lowest cosine to the reference, and what to time for each batch."""
    cases = yamnet.golden()
    reference = np.concatenate([case.embeddings for case in cases])
    patches = np.concatenate([yamnet.patches_of(case.log_mel) for case in cases])
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    timed: dict[int, Work] = {}
    for batch in yamnet.BATCHES:
        run = RUNTIMES[name](precision, batch)
        # Whole batches, from the first again once all were seen.
        rows = np.arange(-(-len(patches) // batch) * batch) % len(patches)
        inputs = [patches[row] for row in np.split(rows, len(rows) // batch)]
        outputs = np.concatenate([np.array(run(batch_of)) for batch_of in inputs])
        pairs.append((outputs, reference[rows]))
        timed[batch] = functools.partial(run, inputs[0])
    return yamnet.lowest_cosine(pairs), timed


def load_module(folder: Path) -> tuple[float, dict[int, Work]]:
    """The same for Google's module, which takes samples."""
    single_threaded_tensorflow()
    run = yamnet.tensorflow_module(folder)
    lowest = yamnet.lowest_cosine((run(case.samples), case.embeddings) for case in yamnet.golden())
    noise = np.random.default_rng(1).uniform(-0.2, 0.2, 1 << 20).astype(np.float32)
    timed: dict[int, Work] = {}
    for batch in yamnet.BATCHES:
        length = yamnet.FIRST_SAMPLES + (batch - 1) * yamnet.PATCH_HOP_SAMPLES
        timed[batch] = functools.partial(run, noise[:length])
    return lowest, timed


def repeat(work: Work, seconds: float) -> tuple[int, float]:
    """Runs `work` for about `seconds`: how often, and how long it took."""
    started, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - started) < seconds:
        work()
        count += 1
    return count, elapsed


def main() -> None:
    """Loads, checks, then answers until its input ends."""
    name, precision, *module = sys.argv[1:]
    lowest, timed = load_module(Path(module[0])) if module else load_network(name, precision)
    for work in timed.values():
        repeat(work, WARM_UP_S)
    print(json.dumps({"cosine": lowest}), flush=True)
    for line in sys.stdin:
        batch, seconds = line.split()
        count, elapsed = repeat(timed[int(batch)], float(seconds))
        print(json.dumps({"patches_per_s": count * int(batch) / elapsed}), flush=True)


if __name__ == "__main__":
    main()
