// Classes, examples, judging, training, scores, and the head's answers on the library.

import { follow, get, post, remove } from './api.js';
import { card } from './card.js';
import { byId, clearProblem, el, many, problemText, say, showProblem } from './dom.js';
import { alike, heard, Judge, suggestions } from './judge.js';
import { isDetection } from './lanes.js';
import { chosenModel, library, onModel, suggestClasses } from './library.js';
import { scoreView } from './scores.js';

let classes = [];
let heads = [];
const chosen = new Set();
let added = [];
let head = null;
const recordings = new Map();
const MOST_EXAMPLES = 24;

const judge = new Judge(byId('judge'), () => { refresh().catch(showProblem); });

/** A recording's name and length, asked for once. */
function recordingOf(id) {
  if (!recordings.has(id)) recordings.set(id, get(`/v1/recordings/${id}`));
  return recordings.get(id);
}

function showClasses() {
  const names = [...classes, ...added.filter((name) => !classes.some((one) => one.class === name)).map((name) => ({ class: name, by_people: 0 }))];
  byId('classes').replaceChildren(...(names.length ? names.map((one) => el('div', { class: 'class-row' },
    el('label', {}, el('input', { type: 'checkbox', checked: chosen.has(one.class), onchange: (event) => choose(one.class, event.target.checked) }), one.class),
    el('span', { class: 'quiet tabular', text: many(one.by_people, 'label') }),
    el('button', { type: 'button', class: 'small', text: 'Judge', 'aria-label': `Judge ${one.class}`, onclick: () => judgeClass(one.class) })))
    : [el('p', { class: 'quiet', text: 'No label yet. Add a class here and judge what it finds, label on a recording’s page, or bring labels in with `sonoteca label import`.' })]));
  const select = byId('judge-class');
  const before = select.value;
  select.replaceChildren(...names.map((one) => el('option', { text: one.class })));
  if (names.some((one) => one.class === before)) select.value = before;
}

function choose(name, isChosen) {
  if (isChosen) chosen.add(name);
  else chosen.delete(name);
  proposeTask();
}

/** One class alone is there or not; of several one is asked, until somebody says otherwise. */
function proposeTask() {
  const { task } = byId('train-form').elements;
  if (!task.dataset.touched) task.value = (chosen.size || classes.length + added.length) === 1 ? 'multi' : 'single';
  byId('exhaustive').hidden = task.value !== 'multi';
}

function showHeads() {
  byId('heads').replaceChildren(...heads.map((one) => el('span', { class: `chip${one.name === head ? ' current' : ''}` },
    el('button', { type: 'button', text: one.name, 'aria-pressed': null, 'aria-current': one.name === head ? 'true' : null, onclick: () => showHead(one.name).catch(showProblem) }))));
  byId('head-names').replaceChildren(...heads.map((one) => el('option', { value: one.name })));
  const select = byId('judge-from');
  const before = select.value;
  select.replaceChildren(el('option', { value: '', text: 'sounds like the examples' }), ...heads.flatMap((one) => [
    el('option', { value: `asks ${one.name}`, text: `what ${one.name} is unsure of` }), el('option', { value: `hears ${one.name}`, text: `what ${one.name} hears` })]));
  if ([...select.options].some((option) => option.value === before)) select.value = before;
}

async function refresh() {
  const found = await get('/v1/library');
  classes = found.label_classes;
  heads = found.heads;
  proposeTask();
  showClasses();
  showHeads();
}

async function judgeClass(name) {
  byId('judge-class').value = name;
  showExamples(name).catch(showProblem);
  const [, how, from] = /^(asks|hears) (.*)$/.exec(byId('judge-from').value) ?? [];
  await judge.load(name, from ? { asks: suggestions, hears: heard }[how](from) : alike);
}

/** Who said a label. */
const saidBy = (label) => (isDetection(label) ? `said by head ${label.source.replace(/^head:?/, '')}` : 'by a person');

async function showExamples(name) {
  const host = byId('examples');
  byId('examples-note').textContent = name ?? '';
  if (!name) {
    host.replaceChildren(el('p', { class: 'quiet', text: 'Choose a class to see its examples.' }));
    return;
  }
  // What people said comes first, whatever a head added later.
  const [people, byHeads] = await Promise.all(['people', 'heads'].map((by) => get('/v1/labels', { class: name, by, limit: MOST_EXAMPLES })));
  const labels = [...people.labels, ...byHeads.labels].slice(0, MOST_EXAMPLES);
  const hits = await Promise.all(labels.map(async (label) => {
    const recording = await recordingOf(label.recording_id);
    return { ...label, name: recording.name, path: recording.path, duration_s: recording.duration_s, start_s: label.start_s ?? 0, end_s: label.end_s ?? recording.duration_s, labels: [{ class: `${label.kind === 'positive' ? label.class : `${label.kind}: ${label.class}`} · ${saidBy(label)}`, kind: 'positive', source: label.source }] };
  }));
  const unlabel = { text: 'Remove', label: 'Take this label back', key: 'Delete', act: async (hit, article) => {
    try {
      await remove(`/v1/labels/${hit.id}`);
      (article.nextElementSibling ?? article.previousElementSibling)?.focus();
      article.remove();
      say('Removed');
      await refresh();
    } catch (error) {
      showProblem(error);
    }
  } };
  // As many as there are now: a head may have spoken since the classes were listed.
  const counted = (await get('/v1/library')).label_classes.find((one) => one.class === name);
  const all = (counted?.positive ?? 0) + (counted?.negative ?? 0) + (counted?.unsure ?? 0);
  const ofPeople = counted?.by_people ?? 0;
  const counts = [`${many(ofPeople, 'label')} by people`, all > ofPeople ? `${(all - ofPeople).toLocaleString('en')} by heads` : null];
  byId('examples-note').textContent = [name, counts.filter(Boolean).join(', '), all > hits.length ? `${hits.length} are shown` : null].filter(Boolean).join(' · ');
  host.replaceChildren(...(hits.length ? hits.map((hit) => card(hit, [unlabel])) : [el('p', { class: 'quiet', text: 'No example yet: judge what is found above.' })]));
}

/** A job with its progress, in `host`; resolves to the job when it has ended. */
async function showJob(host, started, what) {
  const bar = el('progress', { 'aria-label': what });
  const text = el('span', { class: 'quiet', role: 'status' });
  const cancel = el('button', { type: 'button', class: 'small', text: 'Cancel', onclick: () => remove(`/v1/jobs/${started.id}`).catch(showProblem) });
  host.replaceChildren(el('div', { class: 'row' }, text, el('span', { class: 'grow' }), cancel), bar);
  const job = await follow(started, (now) => {
    text.textContent = now.message || `${what} (${now.state})`;
    if (now.progress === null) bar.removeAttribute('value');
    else bar.value = now.progress;
  });
  if (job.state === 'done') host.replaceChildren(el('p', { class: 'quiet', role: 'status', text: `${what}: done.` }));
  else if (job.state === 'cancelled') host.replaceChildren(el('p', { class: 'quiet', text: `${what}: cancelled.` }));
  else host.replaceChildren(el('div', { class: 'notice error', role: 'alert' }, problemText(typeof job.error === 'string' ? new Error(job.error) : job.error ?? new Error('It failed.'))));
  return job;
}

async function train(form, replace = false) {
  const name = form.elements.name.value.trim();
  const body = { name, head: form.elements.head.value, by: form.elements.by.value, model: await chosenModel(), replace };
  body.task = form.elements.task.value;
  if (body.task === 'multi') body.exhaustive = form.elements.exhaustive.checked;
  if (chosen.size) body.classes = [...chosen];
  const button = form.querySelector('button');
  button.disabled = true;
  clearProblem();
  try {
    const job = await showJob(byId('train-job'), await post('/v1/heads', body), `Training ${name}`);
    if (job.state !== 'done') return;
    await refresh();
    await showHead(name);
    byId('judge-from').value = `asks ${name}`;
    if (byId('judge-class').value) judgeClass(byId('judge-class').value);
  } catch (error) {
    if (error.code === 'head_exists') await askToReplace(form, name);
    else byId('train-job').replaceChildren(el('div', { class: 'notice error', role: 'alert' }, problemText(error)));
  } finally {
    button.disabled = false;
  }
}

/** What a head was trained with, in the words of the form. */
function settingsOf(one) {
  const form = byId('train-form');
  const shown = (field, value) => [...form.elements[field].options].find((option) => option.value === value)?.text ?? value;
  return `${shown('head', one.kind)}, from ${shown('by', one.by)} of ${one.model}, says ${shown('task', one.task)}`;
}

/** A head of that name is there: it is lost only if somebody says so. */
async function askToReplace(form, name) {
  const modelNow = (await chosenModel()) ?? (await get('/v1/library')).default_model;
  const known = heads.find((one) => one.name === name);
  const yes = el('button', { type: 'button', class: 'primary', text: `Replace ${name}`, onclick: () => train(form, true) });
  byId('train-job').replaceChildren(el('div', { class: 'notice', role: 'alert' },
    el('p', { text: `There is a head called ${name}${known ? ` (${settingsOf(known)}; trained on ${many(known.recordings, 'recording')})` : ''}. Training it anew replaces it by what the form and the ticked classes say${known && known.model !== modelNow ? `, from ${modelNow}` : ''}: what it learnt is lost.` }),
    el('div', { class: 'row' }, yes, el('button', { type: 'button', text: 'Keep it', onclick: () => { byId('train-job').replaceChildren(); form.elements.name.focus(); } }))));
  yes.focus();
}

/** Fills the form as `one` was trained, so that training it again makes the same kind of head. */
function fillForm(one) {
  const { elements } = byId('train-form');
  elements.name.value = one.name;
  for (const [field, value] of [['head', one.kind], ['by', one.by], ['task', one.task]]) {
    const select = elements[field];
    // Kinds that only the command line and the API offer.
    if (![...select.options].some((option) => option.value === value)) select.append(el('option', { value, text: value }));
    select.value = value;
  }
  // Of the same classes, too, as far as they are still there.
  chosen.clear();
  for (const name of one.classes ?? []) if (classes.some((known) => known.class === name)) chosen.add(name);
  showClasses();
  elements.task.dataset.touched = 'yes';
  elements.exhaustive.checked = one.exhaustive;
  proposeTask();
}

async function showHead(name) {
  const found = await get(`/v1/heads/${encodeURIComponent(name)}`);
  head = name;
  showHeads();
  const known = heads.find((one) => one.name === name);
  if (known) fillForm(known);
  byId('scores').replaceChildren(...scoreView(found));
  byId('scores-links').replaceChildren(
    el('button', { type: 'button', class: 'small', text: 'Run on the library', onclick: () => predict(name) }), ' ',
    el('a', { class: 'button small', href: surest(name), text: 'Search by it' }), ' ',
    el('a', { class: 'button small', href: `/v1/heads/${encodeURIComponent(name)}/report.html`, text: 'Full report', target: '_blank', rel: 'noopener' }));
}

/** What a head is surest of: of the class that is judged, where it knows that, else of its first. */
function surest(name) {
  const known = heads.find((one) => one.name === name)?.classes ?? [];
  const judged = byId('judge-class').value;
  return `/?${new URLSearchParams({ head: name, head_class: known.includes(judged) ? judged : known[0] ?? '' })}`;
}

async function predict(name) {
  clearProblem();
  try {
    const job = await showJob(byId('predict-job'), await post(`/v1/heads/${encodeURIComponent(name)}/predict`, {}), `Running ${name} on the library`);
    if (job.state !== 'done') return;
    byId('predict-job').replaceChildren(el('p', { role: 'status' }, `${name} has heard the library. Its detections stand in the lanes of recordings; `,
      el('a', { href: surest(name), text: 'see the surest' }), '.'));
  } catch (error) {
    showProblem(error);
  }
}

async function start() {
  byId('new-class').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = byId('new-class-name').value.trim();
    byId('new-class-name').value = '';
    added = [...new Set([...added, name])];
    chosen.add(name);
    showClasses();
    judgeClass(name);
  });
  byId('train-form').addEventListener('submit', (event) => { event.preventDefault(); train(event.target); });
  byId('train-form').elements.task.addEventListener('change', (event) => {
    event.target.dataset.touched = 'yes';
    proposeTask();
  });
  byId('judge-class').addEventListener('change', (event) => judgeClass(event.target.value));
  byId('judge-from').addEventListener('change', () => judgeClass(byId('judge-class').value));
  suggestClasses(byId('class-names'), [byId('new-class-name')]);
  onModel(() => { if (byId('judge-class').value) judgeClass(byId('judge-class').value); });
  await library();
  await refresh();
  if (heads.length) await showHead(heads[0].name);
  const first = new URLSearchParams(location.search).get('class') ?? classes[0]?.class;
  if (heads.length) byId('judge-from').value = `asks ${heads[0].name}`;
  if (first) await judgeClass(first);
  else {
    judge.load(null);
    showExamples(null);
  }
}

start().catch(showProblem);
