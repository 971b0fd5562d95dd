#!/usr/bin/env python3
"""Write Whisper encoder states that CTranslate2 computed from the same weights as ours.

    make_whisper.py TINY_EN_FOLDER BASE_FOLDER WHISPER_TINY_EN_SAFETENSORS OUT_FILE

Each folder holds model.bin, config.json and what lies beside them in the packages that the cards of
`whisper-tiny-en` and `whisper-base` name (of base, the two parts joined). Made with ctranslate2 4.8.5 and
numpy 2.4.6 in float32; ctranslate2 reads model.bin by itself and shares no code with ours.

generated_<size> [25, width]: every 60th state of 30 s of generated log10 powers `[3000, 80]`, -10 to 0 from
the generator of "Numerical Recipes" (3rd edition, section 7.1), frame by frame, which the test makes too.
speech_base [25, 512]: the same states of `mel_speech` in the reference arrays of tiny.en, which is the mel of
every size.
"""
import sys

import ctranslate2
import numpy as np
from safetensors.numpy import load_file, save_file

FRAMES, MELS, EVERY = 3_000, 80, 60


def generated() -> np.ndarray:
    """The input that Whisper's own front end would hand over, [mels, frames]."""
    state, values = 1, np.empty(FRAMES * MELS)
    for index in range(values.size):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        values[index] = 10 * (state / (2**32 - 1)) - 10
    log = values.astype(np.float32).reshape(FRAMES, MELS)
    log = np.maximum(log, log.max() - np.float32(8))
    return np.ascontiguousarray(((log + np.float32(4)) / np.float32(4)).T)


def states(folder: str, mel: np.ndarray) -> np.ndarray:
    model = ctranslate2.models.Whisper(folder, device="cpu", compute_type="float32")
    found = model.encode(ctranslate2.StorageView.from_array(np.ascontiguousarray(mel[None])))
    return np.ascontiguousarray(np.array(found)[0, ::EVERY])


def main() -> None:
    tiny, base, arrays, out = sys.argv[1:]
    mel, speech = generated(), load_file(arrays)["mel_speech"].astype(np.float32)
    found = {
        "generated_tiny": states(tiny, mel),
        "generated_base": states(base, mel),
        "speech_base": states(base, speech),
    }
    for name, array in found.items():
        print(name, array.shape, float(array.std()))
    save_file(found, out)


if __name__ == "__main__":
    main()
