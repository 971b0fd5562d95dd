// A spectrogram on which a stretch is chosen, by pointer or by keyboard.

import { spectrogram } from './api.js';
import { el, later, time } from './dom.js';

/** Shorter stretches than this are clicks, and no choice. */
const SHORTEST_SECONDS = 0.05;

export class Picker {
  /** `moved(start, end)` while a stretch changes, `chosen(start, end)` when it has. */
  constructor(host, { moved = () => {}, chosen = () => {} }) {
    this.moved = moved;
    this.chosen = chosen;
    this.settled = later(() => this.chosen(this.start, this.end), 450);
    this.image = el('img', { class: 'spectrogram', alt: '', draggable: 'false' });
    this.before = el('div', { class: 'outside' });
    this.after = el('div', { class: 'outside' });
    this.head = el('div', { class: 'head', hidden: true });
    this.edges = ['Start', 'End'].map((name) => this.edge(name));
    this.box = el('div', { class: 'picker' }, this.image, this.before, this.after, this.head, ...this.edges);
    host.replaceChildren(this.box);
    this.listen();
  }

  edge(name) {
    return el('div', {
      class: 'edge', role: 'slider', tabindex: '0', 'aria-label': `${name} of the stretch that counts`,
      onkeydown: (event) => this.key(event, name === 'Start'),
    });
  }

  /** Shows `sound`, of `duration` seconds, with the stretch from `start` to `end`. */
  show(sound, duration, start, end) {
    this.duration = duration;
    const address = spectrogram(sound, 0, duration, this.box.clientWidth || 800, 128);
    if (this.image.getAttribute('src') !== address) this.image.src = address;
    this.place(start ?? 0, end ?? duration);
    this.at(null);
  }

  place(start, end) {
    this.start = Math.max(0, Math.min(start, end));
    this.end = Math.min(this.duration, Math.max(start, end));
    const share = (second) => `${(100 * second) / this.duration}%`;
    this.before.style.left = '0';
    this.before.style.width = share(this.start);
    this.after.style.left = share(this.end);
    this.after.style.right = '0';
    [this.start, this.end].forEach((second, index) => {
      const edge = this.edges[index];
      edge.style.left = share(second);
      edge.setAttribute('aria-valuemin', '0');
      edge.setAttribute('aria-valuemax', this.duration.toFixed(2));
      edge.setAttribute('aria-valuenow', second.toFixed(2));
      edge.setAttribute('aria-valuetext', time(second));
    });
    this.moved(this.start, this.end);
  }

  /** Where it plays, or `null`. */
  at(second) {
    this.head.hidden = second === null;
    if (second !== null) this.head.style.left = `${(100 * Math.min(second, this.duration)) / this.duration}%`;
  }

  second(event) {
    const box = this.box.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * this.duration;
  }

  listen() {
    let fixed = null;
    let old = null;
    this.box.addEventListener('pointerdown', (event) => {
      if (event.button !== 0 || !this.duration) return;
      old = [this.start, this.end];
      const grabbed = this.edges.indexOf(event.target);
      // Of an edge the other one stays; elsewhere a new stretch begins.
      fixed = grabbed === 0 ? this.end : grabbed === 1 ? this.start : this.second(event);
      this.box.setPointerCapture(event.pointerId);
      if (grabbed < 0) event.preventDefault();
    });
    this.box.addEventListener('pointermove', (event) => {
      if (fixed === null) return;
      const second = this.second(event);
      if (Math.abs(second - fixed) >= SHORTEST_SECONDS) this.place(fixed, second);
    });
    const end = (event) => {
      if (fixed === null) return;
      fixed = null;
      if (event.type === 'pointercancel') this.place(...old);
      else if (old[0] !== this.start || old[1] !== this.end) this.chosen(this.start, this.end);
    };
    this.box.addEventListener('pointerup', end);
    this.box.addEventListener('pointercancel', end);
  }

  key(event, isStart) {
    const step = Math.max(0.05, this.duration / 600) * (event.shiftKey ? 10 : 1);
    const steps = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, Home: -Infinity, End: Infinity };
    const by = steps[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const limit = (value, low, high) => Math.max(low, Math.min(high, value));
    if (isStart) this.place(limit(this.start + by, 0, this.end - SHORTEST_SECONDS), this.end);
    else this.place(this.start, limit(this.end + by, this.start + SHORTEST_SECONDS, this.duration));
    this.settled();
  }
}
