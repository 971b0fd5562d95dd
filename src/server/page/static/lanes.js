// What is heard when, under a spectrogram: a lane for each of the most heard classes, one for the
// labels of people, one for what heads detected.

import { el, range } from './dom.js';

const CLASS_LANES = 5;

/** Whether a head wrote a label: those are detections. */
export const isDetection = (label) => label.source?.startsWith('head') ?? false;

/** Rows of a lane: labels that share time stand under each other. */
const MOST_ROWS = 8;
const ROW_PIXELS = 22;

/** The row of each of `stretches`, in the order of their starts: the first whose last one is over. */
function rowsOf(stretches) {
  const ends = [];
  return stretches.map(({ start, end }) => {
    const free = ends.findIndex((over) => over <= start);
    const row = free < 0 ? ends.length : free;
    ends[row] = end;
    return row;
  });
}

/** Lanes of `labels`, placed by `timeline`; `picked` hears of the one that was clicked. */
export function stretchLane(name, labels, timeline, picked) {
  const lane = el('div', { class: 'lane', role: 'group', 'aria-label': name }, el('span', { class: 'lane-name right', text: labels.length ? name : `no ${name.toLowerCase()}` }));
  const within = labels.map((label) => ({ label, start: label.start_s ?? 0, end: label.end_s ?? timeline.duration }))
    .sort((a, b) => a.start - b.start || b.end - a.end);
  const rows = rowsOf(within);
  const count = Math.max(1, ...rows.map((row) => row + 1));
  lane.style.height = `${Math.min(count, MOST_ROWS) * ROW_PIXELS + 4}px`;
  lane.classList.toggle('scrolls', count > MOST_ROWS);
  within.forEach(({ label, start, end }, place) => {
    if (end < timeline.start || start > timeline.end) return;
    const stretch = el('button', {
      type: 'button', class: `stretch ${label.kind}${isDetection(label) ? ' detection' : ''}`, text: label.class,
      title: `${label.class} (${label.kind}), ${range(start, end)}`, 'aria-label': `${label.class}, ${label.kind}, ${range(start, end)}`,
      onclick: () => picked(label),
    });
    const left = Math.max(-10, timeline.x(start));
    stretch.style.left = `${left}px`;
    stretch.style.width = `${Math.min(timeline.width + 10, timeline.x(end)) - left}px`;
    stretch.style.top = `${rows[place] * ROW_PIXELS + 3}px`;
    lane.append(stretch);
  });
  return lane;
}

/** Lanes of the classes that are heard most in `segments`. */
export function classLanes(segments, timeline) {
  const sums = new Map();
  for (const segment of segments) for (const { class: name, score } of segment.classes) sums.set(name, (sums.get(name) ?? 0) + score);
  const names = [...sums].sort((a, b) => b[1] - a[1]).slice(0, CLASS_LANES).map(([name]) => name);
  return names.map((name) => {
    const canvas = el('canvas', { 'aria-hidden': 'true' });
    const lane = el('div', { class: 'lane classes' }, canvas, el('span', { class: 'lane-name', text: name }));
    // Sizes are known once it is part of the page.
    requestAnimationFrame(() => paint(canvas, name, segments, timeline));
    return lane;
  });
}

function paint(canvas, name, segments, timeline) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  const context = canvas.getContext('2d');
  context.fillStyle = getComputedStyle(canvas).getPropertyValue('--accent');
  segments.forEach((segment, place) => {
    const found = segment.classes.find((one) => one.class === name);
    if (!found) return;
    // Windows overlap; each is drawn until the next one begins.
    const end = Math.min(segment.end_s, segments[place + 1]?.start_s ?? segment.end_s);
    context.globalAlpha = Math.max(0.05, Math.min(1, found.score));
    const left = timeline.x(segment.start_s) * ratio;
    context.fillRect(left, 0, Math.max(1, timeline.x(end) * ratio - left), canvas.height);
  });
}
