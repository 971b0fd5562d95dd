// What the microphone heard, as a WAV file: every browser records into another container, and
// each can decode its own.

/** Decodes `blob` and writes it as mono, 16 bits. */
export async function toWav(blob) {
  const context = new AudioContext();
  try {
    const sound = await context.decodeAudioData(await blob.arrayBuffer());
    const samples = new Float32Array(sound.length);
    for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
      sound.getChannelData(channel).forEach((sample, place) => { samples[place] += sample / sound.numberOfChannels; });
    }
    return encode(samples, sound.sampleRate);
  } finally {
    context.close();
  }
}

function encode(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const word = (place, text) => [...text].forEach((letter, n) => view.setUint8(place + n, letter.charCodeAt(0)));
  word(0, 'RIFF');
  view.setUint32(4, 36 + samples.length * 2, true);
  word(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, 'data');
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, n) => view.setInt16(44 + n * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([view.buffer], { type: 'audio/wav' });
}
