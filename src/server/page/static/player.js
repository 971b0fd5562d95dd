// One audio element for the page, so that one sound plays at a time.
//
// A sound is { key, url, from, changed }: `from` is the second of the recording at which the
// address begins, `changed(playing, second)` hears of starts, stops and, at every frame, of where it is.

import { ApiError } from './api.js';
import { showProblem } from './dom.js';

const audio = document.createElement('audio');
audio.id = 'player';
audio.preload = 'auto';
document.body.append(audio);

let current = null;

export const isPlaying = (key) => current?.key === key && !audio.paused;
export const element = () => audio;

function tell(playing) {
  current?.changed(playing, current.from + audio.currentTime);
}

function tick() {
  if (!current || audio.paused) return;
  tell(true);
  requestAnimationFrame(tick);
}

audio.addEventListener('playing', () => { tell(true); requestAnimationFrame(tick); });
audio.addEventListener('pause', () => tell(false));
audio.addEventListener('ended', () => tell(false));
audio.addEventListener('error', async () => {
  const failed = current;
  if (!failed) return;
  tell(false);
  current = null;
  if (failed.broken) {
    failed.broken();
    return;
  }
  // The element does not say why; the address does.
  const response = await fetch(failed.url).catch(() => null);
  const error = response && !response.ok ? (await response.json().catch(() => null))?.error : null;
  showProblem(error ? new ApiError(response.status, error) : new Error('This sound cannot be played here.'));
});

export async function play(sound) {
  if (current && current.key !== sound.key) {
    stop();
    // The element's own event comes when the next sound is already the current one.
    tell(false);
  }
  const fresh = current?.url !== sound.url;
  current = sound;
  if (fresh) audio.src = sound.url;
  try {
    await audio.play();
  } catch (error) {
    // A browser may want a click before it lets pages sound; a newer sound is no failure.
    if (error.name === 'NotAllowedError') showProblem(new Error('The browser lets this page sound only after a click on it.'));
  }
}

export function stop() {
  audio.pause();
}

/** Plays from the start, or stops. */
export function toggle(sound) {
  if (isPlaying(sound.key)) {
    stop();
    return;
  }
  if (current?.key === sound.key && current.url === sound.url) audio.currentTime = 0;
  play(sound);
}

/** Goes to a second of the recording of the sound that is loaded. */
export function seek(second) {
  if (current) audio.currentTime = Math.max(0, second - current.from);
}
