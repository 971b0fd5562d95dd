#!/usr/bin/env python3
"""Write a reference for musicnn's front end, computed by librosa.

    make_mel.py OUT_FILE

samples  [47872] int16, three seconds at 16 kHz: full scale is 32768. Silence, a rising tone with
         overtones, clicks and noise, from nothing to full scale.
log_mel  [187, 96] float32: librosa's power mel spectrogram with the arguments of musicnn 0.1.0
         (extractor.py, batch_data) and the padding of the librosa it was made for (0.7: reflected),
         rounded to float16, then log10(10000 x + 1) in float32. In musicnn itself, 10000 x is a
         float16 too, and infinite where a band's power exceeds 6.55, which loud music does.

Made with librosa 0.11.0, numpy 2.4.6, safetensors 0.8.0.
"""
import sys

import librosa
import numpy as np
from safetensors.numpy import save_file

RATE, COUNT = 16_000, 187 * 256

rng = np.random.default_rng(1906)
t = np.arange(COUNT) / RATE
phase = 2 * np.pi * (110 * t + 300 * t**2)
tone = sum(np.sin(k * phase) / k for k in range(1, 6)) / 2
clicks = np.zeros(COUNT)
clicks[::4_001] = 1
level = np.clip(t - 0.3, 0, None) ** 2 / (t[-1] - 0.3) ** 2
sound = level * (0.6 * tone + 0.3 * clicks + 0.1 * rng.standard_normal(COUNT))
samples = np.clip(np.round(sound * 32_768), -32_768, 32_767).astype(np.int16)

mel = librosa.feature.melspectrogram(
    y=samples.astype(np.float32) / 32_768, sr=RATE, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
).T.astype(np.float16)
# Centred frames go on behind the last one that a patch has.
log_mel = np.log10(10_000 * mel.astype(np.float32) + 1)[:187]
print(f"{mel.shape}, power up to {mel.max()}, log-mel {log_mel.min():.3f} to {log_mel.max():.3f}")
save_file({"samples": samples, "log_mel": np.ascontiguousarray(log_mel)}, sys.argv[1])
