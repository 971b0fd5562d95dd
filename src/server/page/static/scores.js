// How well a head does on what it has not learnt from: the number, its interval, classes, confusions.

import { el, many } from './dom.js';

const percent = (share) => (share === null || share === undefined ? '–' : `${(100 * share).toFixed(1)} %`);

/** An accuracy as a point within its interval, with what saying nothing useful would get. */
function interval(scores) {
  const box = el('div', { class: 'interval', 'aria-hidden': 'true' });
  const place = (name, left, width) => {
    if (left === null || left === undefined) return;
    const part = el('span', { class: name });
    part.style.left = `${100 * left}%`;
    if (width !== undefined) part.style.width = `${100 * width}%`;
    box.append(part);
  };
  if (scores.accuracy_low !== null && scores.accuracy_low !== undefined) place('span', scores.accuracy_low, scores.accuracy_high - scores.accuracy_low);
  place('chance', scores.baseline?.accuracy);
  place('point', scores.accuracy);
  return box;
}

/** Rows are what it is, columns what was said. */
function confusion(classes, matrix) {
  const rows = matrix.map((row, truth) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return el('tr', {}, el('th', { scope: 'row', text: classes[truth] }), ...row.map((count, said) => {
      const share = total ? count / total : 0;
      const cell = el('td', { text: count || '·', title: `${classes[truth]} taken for ${classes[said]}: ${count} of ${total}`, class: truth === said ? null : 'wrong' });
      cell.style.setProperty('--share', 100 * share);
      return cell;
    }));
  });
  return el('div', {}, el('h3', { text: 'Confusions' }), el('p', { class: 'quiet help', text: 'A row is what it is, a column what the head said.' }),
    el('div', { class: 'scrolled', tabindex: '0', role: 'group', 'aria-label': 'Confusion matrix' }, el('table', { class: 'confusion' },
      el('thead', {}, el('tr', {}, el('td'), ...classes.map((name) => el('th', { scope: 'col', text: name })))), el('tbody', {}, ...rows))));
}

function classTable(classes) {
  const number = (value) => el('td', { class: 'number', text: value === null || value === undefined ? '–' : value.toFixed(2) });
  return el('div', {}, el('h3', { text: 'Classes' }), el('div', { class: 'scrolled' }, el('table', {},
    el('thead', {}, el('tr', {}, el('th', { scope: 'col', text: 'Class' }), ...['Precision', 'Recall', 'F1'].map((name) => el('th', { scope: 'col', class: 'number', text: name })))),
    el('tbody', {}, ...classes.map((one) => el('tr', {}, el('th', { scope: 'row', text: one.class ?? one.name }), number(one.precision), number(one.recall), number(one.f1)))))));
}

/** Everything there is to say of `head`, which is its card with its scores. */
export function scoreView(head) {
  const scores = head.scores ?? head;
  const notes = scores.notes ?? [];
  if (scores.accuracy === null || scores.accuracy === undefined) {
    return [el('p', { text: 'How well it does is not known: too little could be held out. Judge more sounds, from more recordings, and train again.' }), ...notes.map((text) => el('p', { class: 'notice', text }))];
  }
  const low = scores.accuracy_low;
  const from = [many(scores.rows ?? 0, 'held-out row'), scores.folds ? many(scores.folds, 'fold') : null, scores.groups ? `from ${many(scores.groups, 'group')}` : null].filter(Boolean).join(', ');
  const shown = [
    el('div', { class: 'score-line' }, el('span', { class: 'big', text: percent(scores.accuracy) }),
      el('span', {}, `${scores.task === 'multi' ? 'of yes and no, each class alike, right' : 'right'} of what it had not learnt from${low === null || low === undefined ? '' : `; 95 % interval ${percent(low)} to ${percent(scores.accuracy_high)}`}`)),
    interval(scores),
    el('p', { class: 'quiet', text: `${from}. ${scores.baseline?.accuracy === undefined || scores.baseline.accuracy === null ? '' : `Always saying the commonest class would be right in ${percent(scores.baseline.accuracy)}.`}` }),
    ...notes.map((text) => el('p', { class: 'notice', text })),
  ];
  const columns = el('div', { class: 'score-columns' });
  const classes = scores.classes ?? [];
  const names = classes.map((one) => one.class ?? one.name ?? one);
  if (scores.confusion?.matrix) columns.append(confusion(names, scores.confusion.matrix));
  if (classes.length && typeof classes[0] === 'object') columns.append(classTable(classes));
  return [...shown, columns];
}
