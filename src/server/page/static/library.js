// What the library holds: the line at the top of every page, and names of classes to type.

import { get } from './api.js';
import { byId, el, later, many, showProblem, time } from './dom.js';

function duration(seconds) {
  return seconds >= 3600 ? `${(seconds / 3600).toLocaleString('en', { maximumFractionDigits: 1 })} h` : `${time(seconds, 0)} min`;
}

let asked = null;

/** The library's description, asked for once. */
export function library() {
  asked ??= get('/v1/library').then((found) => {
    byId('library').textContent = `${many(found.recordings, 'recording')} · ${many(found.segments, 'segment')} · ${duration(found.duration_s)}`;
    return found;
  });
  return asked;
}

library().catch(showProblem);

/** Fills `list` with the names of classes while somebody types into one of `inputs`. */
export function suggestClasses(list, inputs) {
  const fill = later(async (text) => {
    const { classes } = await get('/v1/classes', { text }).catch(() => ({ classes: [] }));
    list.replaceChildren(...classes.slice(0, 40).map((name) => el('option', { value: name })));
  }, 120);
  inputs.forEach((input) => {
    input.addEventListener('input', () => fill(input.value));
    input.addEventListener('focus', () => fill(input.value));
  });
}
