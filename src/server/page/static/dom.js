// Elements, and times as people read them.

/** An element: properties that start with "on" are listeners, `text` is its text, others attributes. */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === 'text') element.textContent = value;
    else if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

/** 75.25 as 1:15.2, 3725 as 1:02:05. */
export function time(seconds, digits = 1) {
  if (!Number.isFinite(seconds)) return '–';
  const factor = 10 ** digits;
  const rounded = Math.round(seconds * factor) / factor;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor(rounded / 60) % 60;
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

/** A stretch; within the first minute as seconds, which reads faster. */
export const range = (start, end) => (end < 60 ? `${start.toFixed(1)} – ${end.toFixed(1)} s` : `${time(start)} – ${time(end)}`);

/** A number of things, with its word. */
export const many = (count, one, more = `${one}s`) => `${count.toLocaleString('en')} ${count === 1 ? one : more}`;

/** Says something to screen readers that sight sees anyway. */
export function say(text) {
  document.getElementById('spoken').textContent = text;
}

/** Shows what went wrong, and what to do about it, until it is closed or something else is done. */
export function showProblem(error) {
  if (error?.name === 'AbortError') return;
  const close = el('button', { type: 'button', class: 'small', text: 'Close', onclick: clearProblem });
  byId('problem').replaceChildren(el('div', {}, problemText(error), el('span', { class: 'grow' }), close));
}

export function clearProblem() {
  byId('problem').replaceChildren();
}

/** The message of an error and its hint, as paragraphs. */
export function problemText(error) {
  const message = error?.message ?? String(error);
  // Several lines point at a place in one of them.
  return el('div', {}, el('p', { class: message.includes('\n') ? 'pointing' : null, text: message }),
    error?.hint ? el('p', { class: 'hint', text: error.hint }) : null);
}

/** What stands where there is nothing to show: a heading and what to do. */
export function emptyState(title, ...advice) {
  return el('div', { class: 'panel empty' }, el('h2', { text: title }), el('p', {}, ...advice));
}

/** Calls `action` when nothing has asked for it for `milliseconds`. */
export function later(action, milliseconds) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

/** Whether a key press belongs to a control that takes text or has its own keys. */
export function isTyping(event) {
  return event.target.closest?.('input:not([type=checkbox]), select, textarea') !== null;
}
