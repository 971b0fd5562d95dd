// The search page: a question by sound or by words, and what answers it.

import { clip, get, post, upload } from './api.js';
import { card } from './card.js';
import { byId, clearProblem, el, emptyState, many, problemText, range, say, showProblem } from './dom.js';
import { chosenModel, library, onModel, suggestClasses } from './library.js';
import { microphone } from './microphone.js';
import { Picker } from './picker.js';
import { stop, toggle } from './player.js';
import { asks, emptyQuestion, FILTERS, fromAddress, toAddress, toBody, whereOf } from './question.js';

let question = emptyQuestion();
let running = null;

const picker = new Picker(byId('example-picker'), {
  moved: (start, end) => { byId('example-range').textContent = range(start, end); },
  chosen: (start, end) => {
    const example = question.examples[question.current];
    // All of it is no stretch: the recording as one is compared then.
    const isWhole = start === 0 && end === example.duration_s;
    Object.assign(example, isWhole ? { start_s: null, end_s: null } : { start_s: start, end_s: end });
    ask();
  },
});

/** Names and durations of stored examples that came with the address. */
async function complete(examples) {
  await Promise.all(examples.filter((example) => example.duration_s === undefined).map(async (example) => {
    const recording = await get(`/v1/recordings/${example.recording_id}`);
    Object.assign(example, { name: recording.name, duration_s: recording.duration_s });
  }));
}

function showExamples() {
  const { examples } = question;
  question.current = Math.max(0, Math.min(question.current, examples.length - 1));
  const current = examples[question.current];
  byId('example').hidden = !current;
  byId('examples').hidden = examples.length < 2;
  byId('not-shared').hidden = !examples.some((example) => example.upload_id !== undefined);
  byId('examples').replaceChildren(...examples.map((example, place) => {
    const name = `${example.kind === 'unlike' ? 'not like ' : ''}${example.name}${example.start_s === null || example.start_s === undefined ? '' : ` ${range(example.start_s, example.end_s)}`}`;
    return el('li', { class: `chip ${example.kind}${place === question.current ? ' current' : ''}` },
      el('button', { type: 'button', text: name, title: 'Show its spectrogram', 'aria-current': place === question.current ? 'true' : null, onclick: () => { question.current = place; showExamples(); } }),
      el('button', { type: 'button', text: '×', 'aria-label': `Take ${name} out`, onclick: () => { examples.splice(place, 1); ask(); } }));
  }));
  if (!current) return;
  byId('example-name').textContent = `${current.kind === 'unlike' ? 'Not like ' : ''}${current.name}`;
  byId('example-whole').hidden = current.start_s === null || current.start_s === undefined;
  picker.show(current, current.duration_s, current.start_s, current.end_s);
}

function showFilters() {
  const form = byId('filters-form');
  for (const name of FILTERS) form.elements[name].value = question.filters[name] ?? '';
  form.elements.by.value = question.by;
  form.elements.limit.value = question.limit;
  if (question.model) byId('model').value = question.model;
  const count = Object.keys(question.filters).filter((name) => name !== 'class_score').length;
  byId('filters-count').hidden = count === 0;
  byId('filters-count').textContent = count;
}

const actions = [
  { text: 'More like this', label: 'Search for sounds like this', key: 'm', act: (hit) => useAs(hit, 'only') },
  { text: 'Less like this', label: 'Keep away from sounds like this', key: 'l', act: (hit) => useAs(hit, 'unlike') },
  { text: 'Add', label: 'Add to examples: search for this and the others together', key: 'a', act: (hit) => useAs(hit, 'like') },
];

function useAs(hit, how) {
  // A recording of a store only has a number of 64 bits, which is rounded here: it would be another one's.
  if (hit.recording_id !== undefined && !Number.isSafeInteger(hit.recording_id)) {
    say('It is in the store only: bring it into the library first, or search by its file');
    return;
  }
  const { recording_id, start_s, end_s, name, duration_s } = hit;
  const example = { kind: how === 'unlike' ? 'unlike' : 'like', recording_id, start_s, end_s, name, duration_s };
  if (how === 'only') question.examples = [];
  question.examples.push(example);
  if (!question.examples.some((one) => one.kind === 'like')) {
    question.examples.pop();
    showProblem(Object.assign(new Error('Words have no “less like this”.'), { hint: 'Choose “more like this” on a good answer first, or exclude a class by a filter.' }));
    return;
  }
  Object.assign(question, { words: '', head: '', headClass: '', current: how === 'unlike' ? question.current : question.examples.length - 1 });
  ask();
  if (how === 'only') byId('main').scrollIntoView({ block: 'start' });
}

function welcome() {
  byId('results-title').textContent = '';
  byId('results-note').textContent = '';
  byId('results').replaceChildren(emptyState('Find sounds by sound', 'Drop a recording above, record one, or type what you look for, such as “dog”. Then listen, and say what is more like it and what is less.'));
  library().then((found) => {
    if (found.recordings === 0) byId('results').replaceChildren(emptyState('The library is empty', 'Index a folder first: ', el('kbd', { text: 'sonoteca index FOLDER' }), ' in a terminal, then load this page again.'));
  }).catch(() => {});
}

/** Shows the question, asks it, and puts it into the address. */
async function ask({ keepAddress = false } = {}) {
  running?.abort();
  clearProblem();
  stop();
  byId('matches').hidden = true;
  byId('keys').hidden = true;
  byId('words').value = question.words;
  running = new AbortController();
  const { signal } = running;
  if (!keepAddress) {
    const address = toAddress(question);
    history[address === location.pathname + location.search ? 'replaceState' : 'pushState'](structuredClone(question), '', address);
  }
  showFilters();
  try {
    await complete(question.examples);
    showExamples();
    if (!asks(question)) {
      welcome();
      return;
    }
    byId('results').setAttribute('aria-busy', 'true');
    byId('results-title').textContent = 'Searching …';
    byId('results-note').textContent = '';
    // Cards that are there stay until others come: a short flash of nothing is worse.
    if (!byId('results').querySelector('.card')) byId('results').replaceChildren(...Array.from({ length: 4 }, () => el('div', { class: 'waiting', 'aria-hidden': 'true' })));
    showAnswer(await post('/v1/search', toBody(question), { signal }));
  } catch (error) {
    if (error.name === 'AbortError') return;
    byId('results-title').textContent = 'The search failed';
    byId('results').replaceChildren(el('div', { class: 'notice error', role: 'alert' }, problemText(error)));
  } finally {
    if (running?.signal === signal) byId('results').removeAttribute('aria-busy');
  }
}

function showAnswer(answer) {
  byId('warnings').replaceChildren(...(answer.warnings ?? []).map((text) => el('p', { class: 'notice', text })));
  byId('results-title').textContent = answer.hits.length ? many(answer.hits.length, 'answer') : 'No answer';
  byId('keys').hidden = answer.hits.length === 0;
  byId('results-note').textContent = [answer.model, `${Math.round(answer.took_ms)} ms`].filter(Boolean).join(' · ');
  if (answer.hits.length) {
    byId('results').replaceChildren(...answer.hits.map((hit) => card(hit, actions)));
    return;
  }
  const filtered = whereOf(question.filters);
  byId('results').replaceChildren(emptyState('Nothing was found', filtered ? 'The filters leave nothing over. Loosen or clear them.' : 'Try another word, such as the name of a class, or a sound that is like what you look for.'));
}

/** Text with a slash, or that ends like a file of sound, is a path. */
const isPath = (text) => /[\\/]/.test(text) || /\.(wav|ogg|oga|opus|flac|mp3|m4a|mp4|aac|aiff?|caf|au|w64|wv|webm|mka)$/i.test(text);

/** Finds the stored recording that a pasted path means. The path itself is only compared. */
async function byPath(text) {
  const parts = text.trim().replace(/^["']|["']$/g, '').split(/[\\/]+/).filter(Boolean);
  const name = parts.at(-1) ?? '';
  const { recordings } = await get('/v1/recordings', { text: name.replace(/\.[^.]*$/, ''), limit: 50 });
  const shared = (recording) => {
    const own = recording.path.split(/[\\/]+/).filter(Boolean);
    let count = 0;
    while (count < Math.min(own.length, parts.length) && own.at(-1 - count) === parts.at(-1 - count)) count += 1;
    return count;
  };
  const ranked = recordings.map((recording) => [shared(recording), recording]).sort((a, b) => b[0] - a[0]);
  const best = ranked[0]?.[0] ?? 0;
  const same = ranked.filter(([count]) => count === best && best > 0).map(([, recording]) => recording);
  if (same.length === 1) {
    useAs({ ...same[0], recording_id: same[0].id, start_s: null, end_s: null }, 'only');
    return;
  }
  const offered = (same.length ? same : recordings).slice(0, 10);
  const matches = byId('matches');
  matches.hidden = false;
  matches.replaceChildren(offered.length
    ? el('p', { class: 'quiet', text: same.length ? 'Several recordings have this name. Which one?' : 'No recording has exactly this path. One of these?' })
    : el('p', { class: 'notice' }, `The library has no recording at ${text}. Drop the file here instead, or index its folder.`),
  el('ul', {}, ...offered.map((recording) => el('li', {}, el('button', {
    type: 'button', text: recording.path, onclick: () => useAs({ ...recording, recording_id: recording.id, start_s: null, end_s: null }, 'only'),
  })))));
}

async function byFile(blob, name) {
  clearProblem();
  byId('recording-state').textContent = `Sending ${name} …`;
  try {
    const { upload_id, duration_s } = await upload(blob, name);
    question.examples = [{ kind: 'like', upload_id, duration_s, name, start_s: null, end_s: null }];
    Object.assign(question, { words: '', head: '', headClass: '', current: 0 });
    say(`${name} was read`);
    byId('recording-state').textContent = '';
    await ask();
  } catch (error) {
    // Where one looks; what is below still answers the earlier question.
    byId('recording-state').textContent = `${name} was not taken${asks(question) ? '; what is below answers the earlier question' : ''}.`;
    showProblem(error);
  }
}

function listen() {
  byId('words-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = byId('words').value.trim();
    if (!text && question.examples.length) ask();
    else if (isPath(text)) byPath(text).catch(showProblem);
    else {
      Object.assign(question, { words: text, head: '', headClass: '', examples: [] });
      ask();
    }
  });
  byId('file').addEventListener('change', (event) => {
    const [file] = event.target.files;
    event.target.value = '';
    if (file) byFile(file, file.name);
  });
  microphone(byId('record'), byId('recording-state'), (wav) => byFile(wav, 'Recording from the microphone'));
  // A file dropped beside the box should not make the browser leave the page.
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
    document.addEventListener(type, (event) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      byId('drop').classList.toggle('over', type === 'dragover' || type === 'dragenter');
      const [file] = type === 'drop' ? event.dataTransfer.files : [];
      if (file) byFile(file, file.name);
    });
  }
  byId('example-play').addEventListener('click', () => {
    const example = question.examples[question.current];
    const { start, end } = picker;
    toggle({
      key: `example ${example.upload_id ?? example.recording_id} ${start}-${end}`, url: clip(example, start, end), from: start,
      changed: (playing, second) => {
        byId('example-play').classList.toggle('playing', playing);
        picker.at(playing ? second : null);
      },
    });
  });
  byId('example-whole').addEventListener('click', () => {
    Object.assign(question.examples[question.current], { start_s: null, end_s: null });
    ask();
  });
  byId('example-remove').addEventListener('click', () => { question.examples.splice(question.current, 1); ask(); });
  const form = byId('filters-form');
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    question.filters = Object.fromEntries(FILTERS.map((name) => [name, form.elements[name].value.trim()]).filter(([, value]) => value));
    Object.assign(question, { by: form.elements.by.value, limit: form.elements.limit.value });
    ask();
  });
  form.addEventListener('reset', () => {
    Object.assign(question, { filters: {}, by: 'event', limit: '20' });
    ask();
  });
  window.addEventListener('popstate', (event) => {
    question = event.state?.examples ? event.state : fromAddress(location.search);
    ask({ keepAddress: true });
  });
  suggestClasses(byId('class-names'), [byId('words'), form.elements.class, form.elements.label]);
}

async function start() {
  listen();
  // A reload still has the uploads, which the address has not.
  question = history.state?.examples ? history.state : fromAddress(location.search);
  if (Object.keys(question.filters).length) byId('filters').open = true;
  // Without the library's models the question is asked all the same.
  question.model ||= (await chosenModel().catch(() => undefined)) ?? '';
  onModel((model) => {
    question.model = model;
    ask();
  });
  ask({ keepAddress: true });
}

start().catch(showProblem);
