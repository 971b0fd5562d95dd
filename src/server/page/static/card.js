// A sound that was found, as a card: looked at, played, and used to search on.

import { clip, spectrogram } from './api.js';
import { el, isTyping, range } from './dom.js';
import { toggle } from './player.js';

/** What is shown around a stretch, so that it is seen within what surrounds it. */
export function surroundings(hit) {
  const length = hit.end_s - hit.start_s;
  const margin = Math.max(0.75, length * 0.6);
  const end = hit.end_s + margin;
  return [Math.max(0, hit.start_s - margin), hit.duration_s === undefined ? end : Math.max(hit.end_s, Math.min(hit.duration_s, end))];
}

/** A spectrogram with the stretch marked; `at` places the playhead. */
export function picture(hit, height = 104) {
  const [from, to] = surroundings(hit);
  const share = (second) => `${(100 * (second - from)) / (to - from)}%`;
  const mark = el('span', { class: 'hit' });
  mark.style.left = share(hit.start_s);
  mark.style.width = `${(100 * (hit.end_s - hit.start_s)) / (to - from)}%`;
  const head = el('span', { class: 'head', hidden: true });
  const image = el('img', {
    class: 'spectrogram', loading: 'lazy', alt: '', src: spectrogram(hit, from, to, 320, height <= 64 ? 64 : 128),
  });
  const box = el('div', { class: 'card-picture' }, image, mark, head);
  const at = (second) => {
    head.hidden = second === null;
    if (second !== null) head.style.left = share(second);
  };
  return { box, at };
}

/** The sound of a hit, for the player. */
export function soundOf(hit, changed) {
  return { key: `${hit.recording_id}:${hit.start_s}-${hit.end_s}`, url: clip(hit, hit.start_s, hit.end_s), from: hit.start_s, changed };
}

export const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** The address of a recording's page, at a stretch of it. */
export const pageOf = (hit) => `/recordings/${hit.recording_id}#${hit.start_s.toFixed(2)}-${hit.end_s.toFixed(2)}`;

/** A card; each of `actions` is { text, label, key, act(hit, card) }. */
export function card(hit, actions = []) {
  const shown = picture(hit);
  const play = el('button', { type: 'button', class: 'play', 'aria-label': `Play ${hit.name}, ${range(hit.start_s, hit.end_s)}` });
  const sound = soundOf(hit, (playing, second) => {
    play.classList.toggle('playing', playing);
    shown.at(playing ? second : null);
  });
  const hear = () => toggle(sound);
  play.addEventListener('click', hear);

  const score = Math.max(0, Math.min(1, hit.score ?? 0));
  const filled = el('span');
  filled.style.width = `${100 * score}%`;
  const named = [...new Set((hit.labels ?? []).filter((label) => label.kind !== 'negative').map((label) => label.class))];
  const classes = (hit.classes ?? []).slice(0, 3);
  const article = el('article', { class: 'card', tabindex: '0', 'aria-label': `${hit.name}, ${range(hit.start_s, hit.end_s)}` },
    shown.box,
    el('div', { class: 'card-body' },
      el('div', { class: 'card-title' }, play,
        el('div', {}, el('a', { href: pageOf(hit), text: hit.name, title: hit.path }),
          el('p', { class: 'card-path', text: `${range(hit.start_s, hit.end_s)} · ${folderOf(hit.path) || '.'}`, title: hit.path }))),
      hit.score === undefined || hit.score === null ? null
        : el('div', { class: 'card-score' }, el('span', { class: 'bar', 'aria-hidden': 'true' }, filled),
          el('span', { class: 'tabular', text: hit.score.toFixed(3), 'aria-label': `score ${hit.score.toFixed(3)}` })),
      el('ul', { class: 'card-classes', 'aria-label': 'Labels and classes' },
        ...named.map((name) => el('li', { class: 'label', text: name, title: 'label' })),
        ...classes.map((found) => el('li', { text: `${found.class} ${found.score.toFixed(2)}`, title: 'what the model hears' })))),
    actions.length ? el('div', { class: 'card-actions' }, ...actions.map((action) => el('button', {
      type: 'button', class: 'small', text: action.text, 'aria-label': `${action.label}: ${hit.name}`, title: action.key ? `${action.label} (${action.key})` : action.label,
      onclick: () => action.act(hit, article),
    }))) : null);
  article.dataset.recording = hit.recording_id;
  article.addEventListener('keydown', (event) => cardKey(event, article, hit, hear, actions));
  return article;
}

function cardKey(event, article, hit, hear, actions) {
  // A button within the card has its own Space.
  if (event.target !== article || isTyping(event) || event.ctrlKey || event.altKey || event.metaKey) return;
  const steps = { ArrowRight: 'nextElementSibling', ArrowDown: 'nextElementSibling', ArrowLeft: 'previousElementSibling', ArrowUp: 'previousElementSibling' };
  if (event.key === ' ') hear();
  else if (steps[event.key]) article[steps[event.key]]?.focus();
  else {
    const action = actions.find((one) => one.key === event.key);
    if (!action) return;
    action.act(hit, article);
  }
  event.preventDefault();
}
