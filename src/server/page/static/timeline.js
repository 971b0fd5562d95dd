// A recording along time: spectrogram in tiles, axis, lanes, the range that is chosen, the playhead.

import { spectrogram } from './api.js';
import { el, later, time } from './dom.js';

const TILE_HEIGHT = 256;
/** A tile is drawn at most this wide, so that zooming by less than two shows no blur. */
const TILE_PIXELS = 512;
const CLOSEST_SECONDS = 0.25;
const TICK_STEPS = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

export class Timeline {
  /** Hears: `viewed()` when what is shown has changed, `chosen()` of a range, `seeked(second)`. */
  constructor(host, { sound, duration, viewed, chosen, seeked }) {
    Object.assign(this, { host, sound, duration, chosen, seeked });
    this.viewed = later(viewed, 120);
    this.start = 0;
    this.end = duration;
    this.range = null;
    this.tiles = new Map();
    this.axis = el('div', { class: 'axis', 'aria-hidden': 'true' });
    this.pictures = el('div', { class: 'tiles' });
    this.selection = el('div', { class: 'selection', hidden: true });
    this.edges = ['Start', 'End'].map((name, place) => el('div', {
      class: 'edge', role: 'slider', tabindex: '0', hidden: true, 'aria-label': `${name} of the range`, onkeydown: (event) => this.edgeKey(event, place),
    }));
    this.view = el('div', { class: 'view', tabindex: '0', role: 'group', 'aria-label': host.getAttribute('aria-label') }, this.pictures, this.selection, ...this.edges);
    this.lanes = el('div', { class: 'lanes' });
    this.thumb = el('span');
    this.scrollbar = el('div', { class: 'scrollbar', 'aria-hidden': 'true' }, this.thumb);
    this.playhead = el('div', { class: 'playhead' });
    host.replaceChildren(this.axis, this.view, this.lanes, this.scrollbar, this.playhead);
    this.second = 0;
    this.listen();
    new ResizeObserver(() => this.draw()).observe(host);
  }

  get width() { return this.view.clientWidth || 1; }
  get length() { return this.end - this.start; }
  x(second) { return ((second - this.start) / this.length) * this.width; }
  secondAt(clientX) {
    const share = (clientX - this.view.getBoundingClientRect().left) / this.width;
    return Math.max(0, Math.min(this.duration, this.start + share * this.length));
  }

  show(start, end) {
    const length = Math.max(Math.min(CLOSEST_SECONDS, this.duration), Math.min(this.duration, end - start));
    this.start = Math.max(0, Math.min(this.duration - length, start));
    this.end = this.start + length;
    this.draw();
    this.viewed();
  }

  zoom(factor, around = (this.start + this.end) / 2) {
    const length = Math.min(this.duration, this.length * factor);
    const share = (around - this.start) / this.length;
    this.show(around - share * length, around + (1 - share) * length);
  }

  scroll(share) { this.show(this.start + share * this.length, this.end + share * this.length); }

  choose(start, end, told = true) {
    this.range = start === null ? null : [Math.max(0, Math.min(start, end)), Math.min(this.duration, Math.max(start, end))];
    this.drawRange();
    if (told) this.chosen();
  }

  /** Puts the playhead at `second`, and follows it when it leaves what is shown. */
  at(second, follow = false) {
    this.second = second;
    if (follow && (second > this.end || second < this.start) && this.length < this.duration) this.show(second, second + this.length);
    else this.drawPlayhead();
  }

  draw() {
    this.drawTiles();
    this.drawAxis();
    this.drawRange();
    this.drawPlayhead();
    this.thumb.style.left = `${(100 * this.start) / this.duration}%`;
    this.thumb.style.width = `${(100 * this.length) / this.duration}%`;
  }

  drawTiles() {
    // Tiles halve the recording again and again: the same few pictures whatever the window's size.
    const wanted = (this.length / this.width) * TILE_PIXELS;
    const level = Math.max(0, Math.ceil(Math.log2(this.duration / wanted)));
    const seconds = this.duration / 2 ** level;
    const kept = new Set();
    for (let n = Math.floor(this.start / seconds); n * seconds < this.end && n < 2 ** level; n += 1) {
      const key = `${level}/${n}`;
      kept.add(key);
      let tile = this.tiles.get(key);
      if (!tile) {
        const source = spectrogram(this.sound, n * seconds, (n + 1) * seconds, TILE_PIXELS, TILE_HEIGHT);
        tile = el('img', { class: 'tile spectrogram', alt: '', draggable: 'false', src: source });
        tile.addEventListener('load', () => this.dropOld());
        this.tiles.set(key, tile);
        this.pictures.append(tile);
      }
      tile.dataset.level = level;
    }
    this.level = level;
    this.kept = kept;
    for (const [key, tile] of this.tiles) {
      const [tileLevel, n] = key.split('/').map(Number);
      const length = this.duration / 2 ** tileLevel;
      tile.style.left = `${this.x(n * length)}px`;
      // A pixel more closes the gaps that rounding leaves.
      tile.style.width = `${(length / this.length) * this.width + 1}px`;
      tile.style.zIndex = tileLevel === level ? '1' : '0';
    }
    this.dropOld();
  }

  /** Tiles of other levels stay under those that are still loading. */
  dropOld() {
    const loaded = [...this.kept].every((key) => this.tiles.get(key)?.complete);
    if (!loaded) return;
    for (const [key, tile] of this.tiles) {
      if (this.kept.has(key)) continue;
      tile.remove();
      this.tiles.delete(key);
    }
  }

  drawAxis() {
    const least = (this.length / this.width) * 84;
    const step = TICK_STEPS.find((seconds) => seconds >= least) ?? TICK_STEPS.at(-1);
    const ticks = [];
    for (let n = Math.ceil(this.start / step); n * step <= this.end; n += 1) {
      const tick = el('span', { text: time(n * step, step < 0.1 ? 2 : step < 1 ? 1 : 0) });
      tick.style.left = `${this.x(n * step)}px`;
      ticks.push(tick);
    }
    this.axis.replaceChildren(...ticks);
  }

  drawRange() {
    const shown = this.range !== null;
    this.selection.hidden = !shown;
    this.edges.forEach((edge) => { edge.hidden = !shown; });
    if (!shown) return;
    const [start, end] = this.range;
    this.selection.style.left = `${this.x(start)}px`;
    this.selection.style.width = `${this.x(end) - this.x(start)}px`;
    this.selection.style.zIndex = '2';
    [start, end].forEach((second, place) => {
      const edge = this.edges[place];
      edge.style.left = `${this.x(second)}px`;
      edge.style.zIndex = '3';
      edge.setAttribute('aria-valuemin', '0');
      edge.setAttribute('aria-valuemax', this.duration.toFixed(2));
      edge.setAttribute('aria-valuenow', second.toFixed(2));
      edge.setAttribute('aria-valuetext', time(second, 2));
    });
  }

  drawPlayhead() {
    this.playhead.hidden = this.second < this.start || this.second > this.end;
    this.playhead.style.left = `${this.x(this.second)}px`;
  }

  edgeKey(event, place) {
    const step = (this.length / 200) * (event.shiftKey ? 10 : 1);
    const by = { ArrowLeft: -step, ArrowRight: step }[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const moved = [...this.range];
    moved[place] += by;
    if (moved[0] < moved[1]) this.choose(...moved);
  }

  listen() {
    let fixed = null;
    let began = 0;
    this.view.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      const grabbed = this.edges.indexOf(event.target);
      began = event.clientX;
      fixed = grabbed >= 0 ? this.range[1 - grabbed] : this.secondAt(event.clientX);
      this.view.setPointerCapture(event.pointerId);
    });
    this.view.addEventListener('pointermove', (event) => {
      // A few pixels are a click that shook.
      if (fixed !== null && Math.abs(event.clientX - began) > 3) this.choose(fixed, this.secondAt(event.clientX), false);
    });
    const end = (event) => {
      if (fixed === null) return;
      const dragged = Math.abs(event.clientX - began) > 3;
      const grabbed = this.edges.includes(event.target);
      fixed = null;
      if (dragged) this.chosen();
      else if (!grabbed && event.type === 'pointerup') this.seeked(this.secondAt(event.clientX));
    };
    this.view.addEventListener('pointerup', end);
    this.view.addEventListener('pointercancel', end);
    this.host.addEventListener('wheel', (event) => {
      if (event.ctrlKey) {
        event.preventDefault();
        this.zoom(Math.exp(event.deltaY * 0.0025), this.secondAt(event.clientX));
      } else if (event.deltaX || event.shiftKey) {
        event.preventDefault();
        this.scroll((event.deltaX || event.deltaY) / this.width);
      }
    }, { passive: false });
    const drag = (event) => {
      const share = (event.clientX - this.scrollbar.getBoundingClientRect().left) / this.scrollbar.clientWidth;
      const middle = share * this.duration;
      this.show(middle - this.length / 2, middle + this.length / 2);
    };
    this.scrollbar.addEventListener('pointerdown', (event) => { this.scrollbar.setPointerCapture(event.pointerId); drag(event); });
    this.scrollbar.addEventListener('pointermove', (event) => { if (this.scrollbar.hasPointerCapture(event.pointerId)) drag(event); });
  }
}
