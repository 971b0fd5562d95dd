// Calls of /v1/: JSON in, JSON out, and errors with the server's own message and hint.

export class ApiError extends Error {
  constructor(status, error) {
    super(error.message);
    this.name = 'ApiError';
    this.status = status;
    this.code = error.code;
    this.hint = error.hint ?? null;
  }
}

export const query = (parameters) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return given.length ? `?${new URLSearchParams(given)}` : '';
};

/** A server that was started again has another token, which its pages hand out: load this one again, once. */
function renew() {
  const last = Number(sessionStorage.getItem('renewed') ?? 0);
  if (Date.now() - last < 10000) return;
  sessionStorage.setItem('renewed', String(Date.now()));
  location.reload();
}

async function failure(response) {
  let error = null;
  try {
    error = (await response.json()).error;
  } catch {
    // Not ours, such as of a proxy: the status is all there is.
  }
  if (response.status === 401) renew();
  return new ApiError(response.status, error ?? { message: `The server answered ${response.status}.` });
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { credentials: 'same-origin', ...options });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, { message: 'The server does not answer.', hint: 'Is `sonoteca serve` still running?' });
  }
  if (!response.ok) throw await failure(response);
  return response.status === 204 ? null : response.json();
}

export const get = (path, parameters = {}, options = {}) => call(path + query(parameters), options);

export const post = (path, body, options = {}) => call(path, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...options,
});

export const remove = (path) => call(path, { method: 'DELETE' });

/** Hands a sound to the server, which forgets it after an hour at most. */
export const upload = (blob, name) => call('/v1/uploads', {
  // Header values are Latin-1; the name is only shown.
  method: 'POST', headers: { 'content-type': 'application/octet-stream', 'x-file-name': encodeURIComponent(name) }, body: blob,
});

/** Follows a job until it ends; `progress` hears of every change. */
export async function follow(job, progress) {
  let pause = 150;
  for (;;) {
    progress(job);
    if (['done', 'failed', 'cancelled'].includes(job.state)) return job;
    await new Promise((resolve) => { setTimeout(resolve, pause); });
    pause = Math.min(pause * 1.5, 1500);
    job = await get(`/v1/jobs/${job.id}`);
  }
}

const root = (sound) => (sound.upload_id === undefined ? `/v1/recordings/${sound.recording_id}` : `/v1/uploads/${sound.upload_id}`);
const seconds = (value) => (value === undefined || value === null ? undefined : Number(value.toFixed(3)));

/** The address of a spectrogram; widths are few, so that the server's cache serves many windows. */
export function spectrogram(sound, start, end, width, height) {
  const device = width * Math.min(2, window.devicePixelRatio || 1);
  const drawn = [256, 512, 1024].find((size) => size >= device) ?? 1024;
  return `${root(sound)}/spectrogram.png${query({ start_s: seconds(start), end_s: seconds(end), width: drawn, height })}`;
}

/** A clip may be so long; longer stretches are played from their start. */
export const CLIP_SECONDS = 60;

export function clip(sound, start, end) {
  return `${root(sound)}/clip.wav${query({ start_s: seconds(start), end_s: seconds(Math.min(end, start + CLIP_SECONDS)) })}`;
}

export const whole = (sound) => `${root(sound)}/audio`;
