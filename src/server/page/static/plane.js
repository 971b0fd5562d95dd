// A plane with points on it: it is moved, zoomed and pointed at, by pointer, finger and keyboard.

import { Nearest } from './nearest.js';
import { painter } from './points.js';

/** How near the pointer must be, in pixels. */
const REACH = 12;
const MOST_ZOOM = 400;
const LEAST_ZOOM = 0.5;
/** So many points are drawn small. */
const CROWD = 5000;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

export class Plane {
  /** `pointed(n)` hears of the point that is pointed at; interleaved `places` are from -1 to 1. */
  constructor(stage, places, pointed) {
    Object.assign(this, { stage, places, pointed });
    this.canvas = stage.querySelector('canvas');
    this.ring = stage.querySelector('.ring');
    this.count = places.length / 2;
    this.shown = new Float32Array(this.count).fill(1);
    this.nearest = new Nearest(places);
    this.painter = painter(this.canvas);
    this.current = -1;
    this.waiting = false;
    Object.assign(this, { x: 0, y: 0, zoom: 1 });
    this.listen();
    new ResizeObserver(() => this.draw()).observe(stage);
  }

  /** Red, green and blue of each point, and 1 for those that are shown. */
  paint(colours, shown) {
    this.shown = shown;
    this.painter.load(this.places, colours, shown);
    this.draw();
  }

  /** Half-widths of what is seen; both axes have the same scale. */
  halves() {
    const ratio = this.stage.clientWidth / this.stage.clientHeight || 1;
    return ratio > 1 ? [ratio / this.zoom, 1 / this.zoom] : [1 / this.zoom, 1 / ratio / this.zoom];
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    const [halfX, halfY] = this.halves();
    return [this.x + ((2 * (event.clientX - box.left)) / box.width - 1) * halfX, this.y + (1 - (2 * (event.clientY - box.top)) / box.height) * halfY];
  }

  /** Draws at the next frame, once however often it is asked. */
  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const began = performance.now();
      this.drawNow();
      // Shown by the browser's tools, and read by the test that holds it under a frame.
      performance.clearMeasures('map frame');
      performance.measure('map frame', { start: began });
    });
  }

  drawNow() {
    const { canvas, stage, ring } = this;
    const ratio = Math.min(2, window.devicePixelRatio || 1);
    const [width, height] = [Math.round(stage.clientWidth * ratio), Math.round(stage.clientHeight * ratio)];
    // Not laid out yet, or folded away: it is drawn once it has a size.
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const [halfX, halfY] = this.halves();
    const size = ratio * Math.min(14, (this.count > CROWD ? 4 : 8) * this.zoom ** 0.25);
    this.painter.draw({ scaleX: 1 / halfX, scaleY: 1 / halfY, shiftX: -this.x / halfX, shiftY: -this.y / halfY, size });
    ring.hidden = this.current < 0;
    if (ring.hidden) return;
    ring.style.left = `${(((this.places[2 * this.current] - this.x) / halfX + 1) / 2) * stage.clientWidth}px`;
    ring.style.top = `${((1 - (this.places[2 * this.current + 1] - this.y) / halfY) / 2) * stage.clientHeight}px`;
  }

  /** Zooms so that a place of the plane stays where it is. */
  zoomBy(factor, [x, y] = [this.x, this.y]) {
    const before = this.zoom;
    this.zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, before * factor));
    const share = 1 - before / this.zoom;
    this.goTo(this.x + (x - this.x) * share, this.y + (y - this.y) * share);
  }

  /** Puts a place into the middle; points are never further away than the edge. */
  goTo(x, y) {
    this.x = Math.max(-1, Math.min(1, x));
    this.y = Math.max(-1, Math.min(1, y));
    this.draw();
  }

  showAll() {
    this.zoom = 1;
    this.goTo(0, 0);
  }

  point(n) {
    if (n === this.current) return;
    this.current = n;
    this.draw();
    this.pointed(n);
  }

  hover(event) {
    const [halfX, halfY] = this.halves();
    const reach = (half, pixels) => (2 * half * REACH) / pixels;
    const found = this.nearest.find(...this.at(event), reach(halfX, this.stage.clientWidth), reach(halfY, this.stage.clientHeight), this.shown);
    this.stage.classList.toggle('pointing', found >= 0);
    // What was pointed at stays: its buttons are beside the map.
    if (found >= 0) this.point(found);
  }

  /** Goes to the next point in a direction, and moves the map where it is out of sight. */
  step(direction) {
    const [halfX, halfY] = this.halves();
    const next = this.current < 0 ? this.nearest.find(this.x, this.y, halfX, halfY, this.shown)
      : this.nearest.towards(this.current, ...direction, this.shown);
    if (next < 0) return;
    const [x, y] = [this.places[2 * next], this.places[2 * next + 1]];
    if (Math.abs(x - this.x) > halfX * 0.95 || Math.abs(y - this.y) > halfY * 0.95) this.goTo(x, y);
    this.point(next);
  }

  move(shareX, shareY) {
    const [halfX, halfY] = this.halves();
    this.goTo(this.x + shareX * halfX, this.y + shareY * halfY);
  }

  /** Keys that move and zoom; whether it was one of them. */
  key(event) {
    const arrow = ARROWS[event.key];
    if (arrow && event.shiftKey) this.move(arrow[0] * 0.4, arrow[1] * 0.4);
    else if (arrow) this.step(arrow);
    else if (event.key === '+' || event.key === '=') this.zoomBy(1.5);
    else if (event.key === '-') this.zoomBy(1 / 1.5);
    else if (event.key === '0') this.showAll();
    else return false;
    return true;
  }

  listen() {
    const { stage } = this;
    const pointers = new Map();
    let gap = 0;
    let moved = 0;
    stage.addEventListener('pointerdown', (event) => {
      stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      gap = 0;
      moved = 0;
    });
    stage.addEventListener('pointermove', (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) {
        this.hover(event);
        return;
      }
      pointers.set(event.pointerId, [event.clientX, event.clientY]);
      const [x, y] = [event.clientX - last[0], event.clientY - last[1]];
      moved += Math.abs(x) + Math.abs(y);
      if (pointers.size === 2) {
        const [[ax, ay], [bx, by]] = [...pointers.values()];
        const now = Math.hypot(ax - bx, ay - by);
        if (gap) this.zoomBy(now / gap, this.at({ clientX: (ax + bx) / 2, clientY: (ay + by) / 2 }));
        gap = now;
        return;
      }
      stage.classList.add('dragging');
      this.move((-2 * x) / stage.clientWidth, (2 * y) / stage.clientHeight);
    });
    const up = (event) => {
      if (!pointers.delete(event.pointerId)) return;
      stage.classList.remove('dragging');
      // Fingers do not hover: a tap chooses.
      if (moved < 5 && event.type === 'pointerup') this.hover(event);
    };
    stage.addEventListener('pointerup', up);
    stage.addEventListener('pointercancel', up);
    stage.addEventListener('wheel', (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * 0.0015), this.at(event));
    }, { passive: false });
  }
}
