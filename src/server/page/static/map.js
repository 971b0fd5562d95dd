// All sounds in two dimensions: what is alike is near.

import { clip, get } from './api.js';
import { pageOf, picture } from './card.js';
import { byId, el, many, range, showProblem } from './dom.js';
import { chosenModel, onModel } from './library.js';
import { parts, shade, SHADES } from './palette.js';
import { Plane } from './plane.js';
import { play, stop, toggle } from './player.js';

const MOST_POINTS = 50000;

let points = null;
let plane = null;
/** The name of each point, or null; all names, the commonest first; the group of each point, -1 for none. */
let names = [];
let groups = [];
let groupOf = [];
const hidden = new Set();
const recordings = new Map();

const hitOf = (n) => ({ recording_id: points.recording_id[n], start_s: points.start_s[n], end_s: points.end_s[n] });

function soundAt(n) {
  const hit = hitOf(n);
  return { key: `point ${n}`, url: clip(hit, hit.start_s, hit.end_s), from: hit.start_s, changed: () => {} };
}

function colour() {
  const colours = new Float32Array(plane.count * 3);
  const shown = new Float32Array(plane.count);
  const shades = Array.from({ length: SHADES + 1 }, (_, rank) => parts(shade(rank)));
  const none = parts(shade(-1));
  for (let n = 0; n < plane.count; n += 1) {
    colours.set(shades[groupOf[n]] ?? none, 3 * n);
    shown[n] = hidden.has(groupOf[n]) ? 0 : 1;
  }
  plane.paint(colours, shown);
}

/** Classes beyond those that have a colour are one group. */
function groupName(group) {
  if (group < 0) return byId('colour-by').value === 'label' ? 'no label' : 'no class';
  return group < SHADES ? groups[group].name : many(groups.length - SHADES, 'other class', 'other classes');
}

function showLegend() {
  const counts = new Map();
  for (const group of groupOf) counts.set(group, (counts.get(group) ?? 0) + 1);
  const row = (group) => {
    const dot = el('i');
    dot.style.background = shade(group);
    return el('li', {}, el('button', {
      type: 'button', 'aria-pressed': String(!hidden.has(group)), title: 'Show or hide',
      onclick: (event) => {
        if (!hidden.delete(group)) hidden.add(group);
        event.currentTarget.setAttribute('aria-pressed', String(!hidden.has(group)));
        colour();
      },
    }, dot, groupName(group), el('span', { class: 'number', text: counts.get(group).toLocaleString('en') })));
  };
  // What has no name comes last.
  const shown = [...counts.keys()].sort((a, b) => (a < 0) - (b < 0) || a - b);
  byId('legend').replaceChildren(el('ul', { class: 'legend' }, ...shown.map(row)));
}

function group(given) {
  names = given;
  const counts = new Map();
  for (const name of names) if (name !== null) counts.set(name, (counts.get(name) ?? 0) + 1);
  groups = [...counts].sort((a, b) => b[1] - a[1]).map(([name, count]) => ({ name, count }));
  const ranks = new Map(groups.map(({ name }, rank) => [name, Math.min(rank, SHADES)]));
  groupOf = names.map((name) => (name === null ? -1 : ranks.get(name)));
  hidden.clear();
  showLegend();
  colour();
}

function regroup(answer) {
  const indices = answer.points[byId('colour-by').value];
  group(indices.map((index) => (index < 0 ? null : answer.classes[index])));
}

/** Both axes are scaled alike, so that distances mean the same in every direction. */
function normalise(xs, ys) {
  const ends = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [left, right] = ends(xs);
  const [low, high] = ends(ys);
  const half = Math.max(right - left, high - low) / 2 / 0.95 || 1;
  const placed = new Float32Array(xs.length * 2);
  for (let n = 0; n < xs.length; n += 1) {
    placed[2 * n] = (xs[n] - (left + right) / 2) / half;
    placed[2 * n + 1] = (ys[n] - (low + high) / 2) / half;
  }
  return placed;
}

async function show(n) {
  const id = points.recording_id[n];
  if (!recordings.has(id)) recordings.set(id, get(`/v1/recordings/${id}`));
  const recording = await recordings.get(id);
  // The pointer may have gone on meanwhile.
  if (n !== plane.current) return;
  const hit = { ...hitOf(n), name: recording.name, path: recording.path, duration_s: recording.duration_s };
  const { box } = picture(hit, 90);
  box.className = 'point-picture card-picture';
  byId('point').replaceChildren(box,
    el('p', {}, el('a', { href: pageOf(hit), text: hit.name })),
    el('p', { class: 'quiet tabular', text: [range(hit.start_s, hit.end_s), names[n]].filter(Boolean).join(' · ') }),
    el('p', {}, el('button', { type: 'button', class: 'small', text: 'Play', onclick: () => toggle(soundAt(n)) }), ' ',
      el('a', { class: 'button small', href: `/?like=${id}:${hit.start_s.toFixed(3)}-${hit.end_s.toFixed(3)}`, text: 'More like this' })));
}

function pointed(n) {
  if (n < 0) return;
  show(n).catch(showProblem);
  if (byId('hear').checked) play(soundAt(n));
}

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === ' ' && plane.current >= 0) toggle(soundAt(plane.current));
  else if (event.key === 'Enter' && plane.current >= 0) location.assign(pageOf(hitOf(plane.current)));
  else if (event.key === 'Escape') stop();
  else if (!plane.key(event)) return;
  event.preventDefault();
}

function listen(answer) {
  byId('stage').addEventListener('keydown', key);
  byId('zoom-in').addEventListener('click', () => plane.zoomBy(1.5));
  byId('zoom-out').addEventListener('click', () => plane.zoomBy(1 / 1.5));
  byId('zoom-all').addEventListener('click', () => plane.showAll());
  byId('colour-by').addEventListener('change', () => regroup(answer));
  byId('hear').addEventListener('change', (event) => { if (!event.target.checked) stop(); });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => { showLegend(); colour(); });
}

async function start() {
  onModel(() => location.reload());
  const answer = await get('/v1/map', { limit: MOST_POINTS, model: await chosenModel() });
  points = answer.points;
  const count = points.x.length;
  if (!count) {
    byId('map-empty').textContent = 'There is nothing to show yet. Index a folder with `sonoteca index FOLDER`, then load this page again.';
    return;
  }
  byId('map-empty').hidden = true;
  const explained = (answer.explained ?? []).reduce((sum, share) => sum + share, 0);
  byId('map-note').textContent = `${many(count, 'segment')}${answer.total > count ? ` of ${answer.total.toLocaleString('en')}` : ''}${explained ? ` · two dimensions hold ${(100 * explained).toFixed(0)} % of what differs` : ''}`;
  plane = new Plane(byId('stage'), normalise(points.x, points.y), pointed);
  listen(answer);
  regroup(answer);
}

start().catch((error) => {
  byId('map-empty').textContent = 'The map could not be loaded.';
  showProblem(error);
});
