// Sounds to judge, one after the other, with one key each: yes, no, unsure.

import { get, post, remove } from './api.js';
import { pageOf, picture, soundOf } from './card.js';
import { byId, clearProblem, el, emptyState, isTyping, problemText, range, say, showProblem } from './dom.js';
import { isDetection } from './lanes.js';
import { chosenModel } from './library.js';
import { play, stop, toggle } from './player.js';

const ANSWERS = [
  { kind: 'positive', key: 'y', text: 'Yes', style: 'yes' },
  { kind: 'negative', key: 'n', text: 'No', style: 'no' },
  { kind: 'unsure', key: 'u', text: 'Unsure', style: 'unsure' },
];

export class Judge {
  /** `judged()` hears of every answer, and of every one that is taken back. */
  constructor(host, judged) {
    Object.assign(this, { host, judged, queue: [], done: [], count: 0 });
    document.addEventListener('keydown', (event) => this.key(event));
    byId('judge-undo').addEventListener('click', () => this.undo());
  }

  /** Asks about `name` in what `source` finds: a head's suggestions, or sounds like the examples. */
  async load(name, source) {
    this.name = name;
    this.queue = [];
    stop();
    if (!name) {
      this.host.replaceChildren(el('p', { class: 'quiet', text: 'Choose or add a class above: then sounds to judge are found.' }));
      byId('judge-of').textContent = '';
      return;
    }
    this.host.replaceChildren(el('div', { class: 'waiting' }));
    try {
      const hits = await source(name);
      // What was judged meanwhile is not asked again.
      const known = new Set(this.done.filter((one) => one.label.class === name).map((one) => `${one.hit.recording_id}:${one.hit.start_s}`));
      this.queue = hits.filter((hit) => !known.has(`${hit.recording_id}:${hit.start_s}`));
      this.count = this.queue.length;
      this.show();
    } catch (error) {
      this.host.replaceChildren(el('div', { class: 'notice error', role: 'alert' }, problemText(error)));
    }
  }

  show({ sounding = false } = {}) {
    const [hit] = this.queue;
    byId('judge-of').textContent = hit ? `${this.count - this.queue.length + 1} of ${this.count}` : '';
    byId('judge-undo').disabled = this.done.length === 0;
    if (!hit) {
      this.host.replaceChildren(emptyState(this.count ? 'All judged' : 'Nothing to judge', this.count
        ? 'Train now, and look at the scores; then judge what the head is unsure of.'
        : 'There is nothing more to ask here. Choose another class or source above, or label an example on a recording’s page.'));
      return;
    }
    const shown = picture(hit, 150);
    const button = el('button', { type: 'button', class: 'play', 'aria-label': 'Play (Space)', title: 'Play (Space)' });
    this.sound = soundOf(hit, (playing, second) => {
      button.classList.toggle('playing', playing);
      shown.at(playing ? second : null);
    });
    button.addEventListener('click', () => toggle(this.sound));
    this.host.replaceChildren(el('div', { class: 'judge-one' }, shown.box, el('div', {},
      el('div', { class: 'row' }, button, el('div', {}, el('a', { href: pageOf(hit), text: hit.name, title: hit.path }), el('div', { class: 'quiet tabular', text: range(hit.start_s, hit.end_s) }))),
      el('p', { class: 'judge-question' }, 'Is this ', el('strong', { text: this.name }), '?'),
      el('div', { class: 'judge-answers' }, ...ANSWERS.map((answer) => el('button', { type: 'button', class: answer.style, onclick: () => this.answer(answer.kind) }, answer.text, el('kbd', { text: answer.key })))),
      el('p', { class: 'quiet help', text: this.why(hit) }))));
    if (sounding) play(this.sound);
  }

  why(hit) {
    if (hit.why) return `Asked because: ${hit.why}`;
    return hit.score === undefined || hit.score === null ? '' : `Score ${hit.score.toFixed(2)}`;
  }

  async answer(kind) {
    const [hit] = this.queue;
    if (!hit || this.busy) return;
    this.busy = true;
    clearProblem();
    try {
      const label = await post('/v1/labels', { recording_id: hit.recording_id, class: this.name, start_s: hit.start_s, end_s: hit.end_s, kind });
      this.queue.shift();
      this.done.push({ hit, label });
      say(`${this.name}: ${kind}`);
      this.show({ sounding: true });
      this.judged();
    } catch (error) {
      showProblem(error);
    } finally {
      this.busy = false;
    }
  }

  async undo() {
    const last = this.done.pop();
    if (!last) return;
    try {
      await remove(`/v1/labels/${last.label.id}`);
      if (last.label.class === this.name) this.queue.unshift(last.hit);
      this.show();
      this.judged();
    } catch (error) {
      showProblem(error);
    }
  }

  key(event) {
    if (isTyping(event)) return;
    if ((event.ctrlKey || event.metaKey) && event.key === 'z') {
      event.preventDefault();
      this.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const answer = ANSWERS.find((one) => one.key === event.key.toLowerCase());
    if (answer && this.queue.length) {
      event.preventDefault();
      this.answer(answer.kind);
    } else if (event.key === ' ' && this.queue.length && !event.target.closest('button, a, .card, input')) {
      event.preventDefault();
      toggle(this.sound);
    }
  }
}

/** What `head` is surest of, to be corrected; what people judged already is left out. */
export const heard = (head) => async (name) => {
  const { hits } = await post('/v1/search', { head: { name: head, class: name }, by: 'event', per_recording: 1, limit: 60 });
  const isJudged = (hit) => hit.labels.some((label) => label.class === name && !label.source.startsWith('head:') && label.start_s !== null);
  return hits.filter((hit) => !isJudged(hit)).slice(0, 20);
};

/** What `head` wants to know about a class; several pages of sounds at once wear people out. */
export const suggestions = (head) => async (name) => (await get(`/v1/heads/${encodeURIComponent(head)}/suggest`, { n: 20, class: name })).hits;

/** Before there is a head: what is like the examples of a class, or what its name finds. */
export async function alike(name) {
  const found = await get('/v1/labels', { class: name, limit: 200 });
  // Not what a head said.
  const labels = found.labels.filter((label) => !isDetection(label));
  const positive = labels.filter((label) => label.kind === 'positive').slice(-8);
  const example = ({ recording_id, start_s, end_s }) => ({ recording_id, ...(start_s === null ? {} : { start_s, end_s }) });
  const asked = positive.length ? { like: positive.map(example) } : { text: name };
  const { hits } = await post('/v1/search', { ...asked, model: await chosenModel(), by: 'event', per_recording: 1, limit: 60 });
  const judged = new Set(labels.map((label) => label.recording_id));
  return hits.filter((hit) => !judged.has(hit.recording_id)).slice(0, 20);
}
