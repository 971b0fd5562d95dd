// A recording's page: look along time, listen, label, take back.

import { clip, CLIP_SECONDS, get, post, remove, whole } from './api.js';
import { byId, clearProblem, el, emptyState, isTyping, many, range, say, showProblem, time } from './dom.js';
import { classLanes, isDetection, stretchLane } from './lanes.js';
import { chosenModel, library, onModel, suggestClasses } from './library.js';
import { element, isPlaying, play, seek, stop } from './player.js';
import { Timeline } from './timeline.js';

const id = Number(byId('recording').dataset.id);
const sound = { recording_id: id };
const MOST_SEGMENTS = 2000;

let recording;
/** Whose classes are shown; undefined, where there is one model only. */
let model;
let timeline;
let labels = [];
let segments = [];
/** Of the segments that are being asked for. */
let loading = new AbortController();
let frequent = [];
/** How to take back each change, the last one last. */
const undos = [];

function showFacts() {
  document.title = `${recording.name} · sonoteca`;
  byId('name').textContent = recording.name;
  byId('path').textContent = recording.path;
  const facts = [time(recording.duration_s), `${(recording.sample_rate / 1000).toLocaleString('en')} kHz`, many(recording.channels, 'channel'), recording.codec, recording.status === 'ok' ? null : recording.status];
  byId('facts').textContent = facts.filter(Boolean).join(' · ');
  const metadata = Object.entries(recording.metadata ?? {});
  if (recording.recorded) metadata.unshift(['recorded', recording.recorded]);
  byId('metadata').replaceChildren(metadata.length
    ? el('dl', {}, ...metadata.flatMap(([key, value]) => [el('dt', { text: key }), el('dd', { text: value })]))
    : el('p', { class: 'quiet', text: 'Nothing is known. `sonoteca metadata import` brings in tables.' }));
  byId('classes').replaceChildren(recording.classes?.length
    ? el('table', {}, el('tbody', {}, ...recording.classes.map((found) => {
      const filled = el('span');
      filled.style.width = `${100 * Math.min(1, found.score)}%`;
      return el('tr', {}, el('td', {}, el('a', { href: `/?q=${encodeURIComponent(found.class)}`, text: found.class })), el('td', {}, el('span', { class: 'bar' }, filled)), el('td', { class: 'number', text: found.score.toFixed(2) }));
    })))
    : el('p', { class: 'quiet', text: model ? `${model} names no class in it. Another model may: choose it above.` : 'No class was heard in it.' }));
}

function showLabels() {
  byId('labels').replaceChildren(labels.length
    ? el('div', { class: 'scrolled' }, el('table', {}, el('tbody', {}, ...labels.map((label) => el('tr', {},
      el('td', {}, el('strong', { text: label.class }), label.kind === 'positive' ? null : ` (${label.kind})`, el('br'), el('span', { class: 'quiet tabular', text: `${label.start_s === null ? 'all of it' : range(label.start_s, label.end_s)}${isDetection(label) ? ` · ${label.source}` : ''}` })),
      el('td', { class: 'number' }, el('button', { type: 'button', class: 'small', text: 'Remove', 'aria-label': `Remove ${label.class}`, onclick: () => removeLabel(label) })))))))
    : el('p', { class: 'quiet', text: 'None yet. Drag over the spectrogram and type what is heard.' }));
}

function showLanes() {
  const picked = (label) => {
    timeline.choose(label.start_s ?? 0, label.end_s ?? recording.duration_s);
    byId('label-class').value = label.class;
  };
  timeline.lanes.replaceChildren(
    stretchLane('Labels', labels.filter((label) => !isDetection(label)), timeline, picked),
    stretchLane('Detections', labels.filter(isDetection), timeline, picked),
    ...classLanes(segments, timeline));
}

/** The segments of what is seen, page after page; what is looked at next breaks it off. */
async function loadSegments() {
  loading.abort();
  loading = new AbortController();
  const { signal } = loading;
  const { start, end } = timeline;
  const found = new Map();
  let shown = 0;
  try {
    for (let from = start, more = true; more;) {
      const page = await get(`/v1/recordings/${id}/segments`, { start_s: from.toFixed(3), end_s: end.toFixed(3), limit: MOST_SEGMENTS, model }, { signal });
      const before = found.size;
      // Windows overlap: a page begins with some of the one before.
      for (const segment of page.segments) found.set(segment.id, segment);
      from = page.segments.at(-1)?.start_s ?? end;
      more = page.more && found.size > before;
      // Drawn anew when there is twice as much: of a day there are many pages.
      if (more && found.size < 2 * shown) continue;
      shown = found.size;
      segments = [...found.values()];
      showLanes();
    }
  } catch (error) {
    if (error.name !== 'AbortError') throw error;
  }
}

async function loadLabels() {
  labels = [];
  for (let after = 0; after !== null;) {
    const found = await get('/v1/labels', { recording_id: id, limit: 1000, after });
    labels.push(...found.labels);
    after = found.next;
  }
  labels.sort((a, b) => (a.start_s ?? -1) - (b.start_s ?? -1));
  showLabels();
  showLanes();
}

function showRange() {
  const chosen = timeline.range;
  byId('range').textContent = chosen ? `${time(chosen[0], 2)} – ${time(chosen[1], 2)}` : 'No range: a label counts for the whole recording';
  byId('zoom-range').disabled = !chosen;
  byId('search-range').href = chosen ? `/?like=${id}:${chosen[0].toFixed(3)}-${chosen[1].toFixed(3)}` : `/?like=${id}`;
}

const write = (label) => post('/v1/labels', { recording_id: id, class: label.class, start_s: label.start_s, end_s: label.end_s, kind: label.kind });

async function addLabel(name, kind) {
  clearProblem();
  const [start_s, end_s] = timeline.range ?? [null, null];
  try {
    const label = await write({ class: name, start_s, end_s, kind });
    undos.push({ text: `the label ${name}`, act: () => remove(`/v1/labels/${label.id}`) });
    say(`Labelled ${name}`);
    timeline.choose(null);
    await changed();
  } catch (error) {
    showProblem(error);
  }
}

async function removeLabel(label) {
  clearProblem();
  try {
    await remove(`/v1/labels/${label.id}`);
    // What a head said would come back as what a person said.
    if (!isDetection(label)) undos.push({ text: `removing ${label.class}`, act: () => write(label) });
    say(`Removed ${label.class}`);
    await changed();
  } catch (error) {
    showProblem(error);
  }
}

async function undo() {
  const last = undos.pop();
  if (!last) return;
  try {
    await last.act();
    say(`Took back ${last.text}`);
    await changed();
  } catch (error) {
    showProblem(error);
  }
}

async function changed() {
  const last = undos.at(-1);
  byId('undo').disabled = !last;
  byId('undo').title = last ? `Take back ${last.text} (Ctrl+Z)` : '';
  await loadLabels();
}

function showFrequent(classes) {
  frequent = classes.slice(0, 9);
  byId('frequent').replaceChildren(...frequent.map((found, place) => el('button', {
    type: 'button', class: 'small', onclick: () => addLabel(found.class, byId('label-kind').value),
  }, el('kbd', { text: String(place + 1) }), found.class)));
}

/** The whole file where the browser can play it, else a clip from here on. */
let asClips = false;
function playSound() {
  const end = timeline.range?.[1];
  const from = timeline.second;
  const clipped = asClips || end !== undefined;
  const stops = end ?? Math.min(recording.duration_s, from + CLIP_SECONDS);
  play({
    key: 'recording', from: clipped ? from : 0, url: clipped ? clip(sound, from, Math.max(stops, from + 0.1)) : whole(sound),
    changed: (playing, second) => {
      byId('play').classList.toggle('playing', playing);
      byId('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
      timeline.at(Math.min(second, recording.duration_s), playing);
      showClock();
    },
    broken: asClips || clipped ? undefined : () => { asClips = true; playSound(); },
  });
  if (!clipped) seek(from);
}

function togglePlay() {
  if (isPlaying('recording')) {
    stop();
    return;
  }
  const chosen = timeline.range;
  const outside = chosen && (timeline.second < chosen[0] || timeline.second >= chosen[1] - 0.05);
  if (outside) timeline.at(chosen[0]);
  else if (timeline.second >= recording.duration_s - 0.05) timeline.at(0);
  playSound();
}

function showClock() {
  byId('clock').textContent = `${time(timeline.second)} / ${time(recording.duration_s)}`;
}

function seekTo(second) {
  const playing = isPlaying('recording');
  if (playing) stop();
  if (timeline.range) timeline.choose(null);
  timeline.at(second);
  showClock();
  if (playing) playSound();
}

/** Moves the playhead by a share of what is seen; the range stays, since its edges are set from there. */
function step(share) {
  if (isPlaying('recording')) stop();
  timeline.at(Math.max(0, Math.min(recording.duration_s, timeline.second + share * timeline.length)), true);
  showClock();
  say(time(timeline.second, 2));
}

const keys = {
  ' ': togglePlay,
  '+': () => timeline.zoom(0.5),
  '=': () => timeline.zoom(0.5),
  '-': () => timeline.zoom(2),
  0: () => timeline.show(0, recording.duration_s),
  '*': zoomToRange,
  ArrowLeft: () => timeline.scroll(-0.25),
  ArrowRight: () => timeline.scroll(0.25),
  ',': () => step(-0.01),
  '.': () => step(0.01),
  Home: () => seekTo(0),
  End: () => seekTo(recording.duration_s),
  '[': () => timeline.choose(timeline.second, timeline.range?.[1] > timeline.second ? timeline.range[1] : recording.duration_s),
  ']': () => timeline.choose(timeline.range?.[0] < timeline.second ? timeline.range[0] : 0, timeline.second),
  Escape: () => timeline.choose(null),
};

function zoomToRange() {
  if (!timeline.range) return;
  const [start, end] = timeline.range;
  timeline.show(start - (end - start) * 0.1, end + (end - start) * 0.1);
}

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && event.key === 'z' && !isTyping(event)) {
    event.preventDefault();
    undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event)) return;
  // Buttons and links keep their own Space and Enter.
  if (event.key === ' ' && event.target.closest('button, a')) return;
  const number = frequent[Number(event.key) - 1];
  // Letters after a range are the beginning of a class.
  if (timeline.range && /^\p{L}$/u.test(event.key)) {
    byId('label-class').focus();
    return;
  }
  const act = number ? () => addLabel(number.class, byId('label-kind').value) : keys[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

/** A stretch that the address names, as links from cards do. */
function fromAddress() {
  const [, start, end] = /^#([\d.]+)-([\d.]+)$/.exec(location.hash) ?? [];
  if (end === undefined) return;
  const [from, to] = [Number(start), Math.min(Number(end), recording.duration_s)];
  timeline.choose(from, to);
  timeline.at(from);
  if (recording.duration_s > 30) timeline.show(from - 8, to + 8);
}

async function start() {
  onModel(() => location.reload());
  try {
    model = await chosenModel();
    recording = await get(`/v1/recordings/${id}`, { model });
  } catch (error) {
    if (error.status !== 404) throw error;
    byId('recording').replaceChildren(emptyState('There is no such recording', 'It may have been removed from the library. ', el('a', { href: '/', text: 'Search the library' }), '.'));
    return;
  }
  showFacts();
  timeline = new Timeline(byId('timeline'), {
    sound, duration: recording.duration_s, chosen: showRange, seeked: seekTo,
    viewed: () => { showLanes(); loadSegments().catch(showProblem); },
  });
  showRange();
  fromAddress();
  showClock();
  timeline.show(timeline.start, timeline.end);
  byId('play').addEventListener('click', togglePlay);
  byId('zoom-in').addEventListener('click', keys['+']);
  byId('zoom-out').addEventListener('click', keys['-']);
  byId('zoom-all').addEventListener('click', keys[0]);
  byId('zoom-range').addEventListener('click', zoomToRange);
  byId('undo').addEventListener('click', undo);
  byId('label-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = byId('label-class').value.trim();
    if (!name) return;
    byId('label-class').value = '';
    addLabel(name, byId('label-kind').value);
    timeline.view.focus();
  });
  document.addEventListener('keydown', onKey);
  window.addEventListener('resize', showLanes);
  element().addEventListener('ended', () => { if (!asClips && !timeline.range) timeline.at(recording.duration_s); });
  suggestClasses(byId('class-names'), [byId('label-class')]);
  await loadLabels();
  showFrequent([...(await library()).label_classes].sort((a, b) => b.by_people - a.by_people));
}

start().catch(showProblem);
