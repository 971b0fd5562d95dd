// What the library holds: the line at the top of every page, and names of classes to type.

import { get } from './api.js';
import { byId, el, later, many, showProblem, time } from './dom.js';

function duration(seconds) {
  return seconds >= 3600 ? `${(seconds / 3600).toLocaleString('en', { maximumFractionDigits: 1 })} h` : `${time(seconds, 0)} min`;
}

let asked = null;

/** What was chosen on whichever page; the browser keeps it. */
const KEPT = 'sonoteca model';

/** Shows the models to choose from, where there are several. */
function offerModels({ models, default_model }) {
  const names = [...new Set(models.filter((model) => model.recordings > 0).map((model) => model.name))];
  // A store's model, of which the library may have nothing.
  if (names.length && default_model && !names.includes(default_model)) names.unshift(default_model);
  const kept = localStorage.getItem(KEPT);
  const [asked] = new URLSearchParams(location.search).getAll('model');
  const select = byId('model');
  select.replaceChildren(...names.map((name) => el('option', { value: name, text: name === default_model ? `${name} (default)` : name })));
  select.value = [asked, kept, default_model].find((name) => names.includes(name)) ?? names[0] ?? '';
  byId('model-chooser').hidden = names.length < 2;
  select.addEventListener('change', () => {
    localStorage.setItem(KEPT, select.value);
    document.dispatchEvent(new CustomEvent('model', { detail: select.value }));
  });
}

/** The model that is chosen; undefined, where the library has one only. */
export async function chosenModel() {
  await library();
  return byId('model-chooser').hidden ? undefined : byId('model').value;
}

/** Calls `chosen(name)` when another model is chosen. */
export const onModel = (chosen) => document.addEventListener('model', (event) => chosen(event.detail));

/** The library's description, asked for once. */
export function library() {
  asked ??= get('/v1/library').then((found) => {
    byId('library').textContent = `${many(found.recordings, 'recording')} · ${many(found.segments, 'segment')} · ${duration(found.duration_s)}`;
    offerModels(found);
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
