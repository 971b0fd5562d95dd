// A question, as the address of the page holds it and as the API takes it.

export const FILTERS = ['class', 'class_score', 'shortest', 'longest', 'folder', 'label', 'where'];

export function emptyQuestion() {
  return { words: '', head: '', headClass: '', examples: [], current: 0, filters: {}, by: 'event', limit: '20', model: '' };
}

const exampleText = (example) => (example.start_s === undefined || example.start_s === null ? `${example.recording_id}`
  : `${example.recording_id}:${Number(example.start_s.toFixed(3))}-${Number(example.end_s.toFixed(3))}`);

function exampleFrom(text, kind) {
  const [, id, start, end] = /^(\d+)(?::([\d.]+)-([\d.]+))?$/.exec(text) ?? [];
  if (!id) return null;
  const example = { kind, recording_id: Number(id) };
  return start === undefined ? example : { ...example, start_s: Number(start), end_s: Number(end) };
}

/** The address of a question; uploads stay out of it, since they are nobody else's. */
export function toAddress(question) {
  const parameters = new URLSearchParams();
  if (question.words) parameters.set('q', question.words);
  if (question.head) parameters.set('head', question.head);
  if (question.headClass) parameters.set('head_class', question.headClass);
  for (const example of question.examples) {
    if (example.upload_id === undefined) parameters.append(example.kind, exampleText(example));
  }
  for (const name of FILTERS) if (question.filters[name]) parameters.set(name, question.filters[name]);
  if (question.by !== 'event') parameters.set('by', question.by);
  if (question.limit !== '20') parameters.set('limit', question.limit);
  if (question.model) parameters.set('model', question.model);
  const text = parameters.toString();
  return text ? `/?${text}` : '/';
}

export function fromAddress(address) {
  const parameters = new URLSearchParams(address);
  const question = emptyQuestion();
  question.words = parameters.get('q') ?? '';
  question.head = parameters.get('head') ?? '';
  question.headClass = parameters.get('head_class') ?? '';
  for (const kind of ['like', 'unlike']) {
    question.examples.push(...parameters.getAll(kind).map((text) => exampleFrom(text, kind)).filter(Boolean));
  }
  for (const name of FILTERS) if (parameters.get(name)) question.filters[name] = parameters.get(name);
  question.by = parameters.get('by') ?? question.by;
  question.limit = parameters.get('limit') ?? question.limit;
  question.model = parameters.get('model') ?? '';
  return question;
}

const quoted = (text) => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
/** Text within a glob that means itself. */
const literal = (text) => text.replace(/[[*?]/g, (letter) => `[${letter}]`);

/** The filters as one expression of the filter language. */
export function whereOf(filters) {
  const parts = [];
  if (filters.class) parts.push(`class(${quoted(filters.class)}) >= ${Number(filters.class_score || 0.2)}`);
  if (filters.shortest) parts.push(`duration >= ${Number(filters.shortest)}`);
  if (filters.longest) parts.push(`duration <= ${Number(filters.longest)}`);
  if (filters.folder) {
    const folder = literal(filters.folder.trim().replace(/\/+$/, ''));
    parts.push(`path ~ ${quoted(folder.startsWith('/') ? `${folder}/*` : `*/${folder}/*`)}`);
  }
  if (filters.label) parts.push(`label = ${quoted(filters.label)}`);
  if (filters.where) parts.push(parts.length ? `(${filters.where})` : filters.where);
  return parts.join(' and ');
}

const asked = ({ recording_id, upload_id, start_s, end_s }) => ({
  ...(upload_id === undefined ? { recording_id } : { upload_id }),
  ...(start_s === undefined || start_s === null ? {} : { start_s, end_s }),
});

/** Whether it asks for anything. */
export const asks = (question) => Boolean(question.words || question.head || question.examples.some((example) => example.kind === 'like'));

/** The body of POST /v1/search. */
export function toBody(question) {
  const body = { by: question.by, limit: Number(question.limit) };
  const where = whereOf(question.filters);
  if (where) body.where = where;
  if (question.model) body.model = question.model;
  const likes = question.examples.filter((example) => example.kind === 'like');
  const unlikes = question.examples.filter((example) => example.kind === 'unlike');
  if (likes.length) {
    body.like = likes.map(asked);
    if (unlikes.length) body.unlike = unlikes.map(asked);
  } else if (question.head) {
    body.head = { name: question.head, ...(question.headClass ? { class: question.headClass } : {}) };
  } else {
    body.text = question.words;
  }
  return body;
}
