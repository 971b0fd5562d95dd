// Records from the microphone: press once to begin, again to end.

import { showProblem, time } from './dom.js';
import { toWav } from './wav.js';

/** Nobody records longer on purpose. */
const LONGEST_SECONDS = 60;

export function microphone(button, state, recorded) {
  let recorder = null;

  async function start() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error('This browser gives no microphone to this page. It does on localhost and over https.');
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      // These are made for telephones and take away what makes sounds differ.
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    const parts = [];
    recorder = new MediaRecorder(stream);
    const began = performance.now();
    const clock = setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      state.textContent = `recording ${time(seconds, 0)}`;
      if (seconds >= LONGEST_SECONDS) recorder?.stop();
    }, 250);
    recorder.addEventListener('dataavailable', (event) => parts.push(event.data));
    recorder.addEventListener('stop', async () => {
      clearInterval(clock);
      stream.getTracks().forEach((track) => track.stop());
      const type = recorder.mimeType;
      recorder = null;
      button.setAttribute('aria-pressed', 'false');
      button.textContent = 'Record';
      state.textContent = '';
      try {
        recorded(await toWav(new Blob(parts, { type })));
      } catch {
        showProblem(new Error('Nothing was recorded. Record a second or more.'));
      }
    });
    recorder.start();
    button.setAttribute('aria-pressed', 'true');
    button.textContent = 'Stop';
  }

  button.addEventListener('click', async () => {
    if (recorder) {
      recorder.stop();
      return;
    }
    try {
      await start();
    } catch (error) {
      const refused = error.name === 'NotAllowedError' || error.name === 'NotFoundError';
      showProblem(refused ? new Error('There is no microphone that this page may use. Allow it beside the address, or choose a file.') : error);
    }
  });
}
