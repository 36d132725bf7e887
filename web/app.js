// app.js - the page: what to look at on the left, its flame graph on the right, the URL is the state.

import { FlameView, Layout, duration, frameName, framePlace, share } from './flame.js';

/**
 * @typedef {object} State what the URL says; names are those of the API
 * @property {string} project
 * @property {string} profiler_id '' for all
 * @property {string} transaction '' for any
 * @property {string} start as typed, '' for open
 * @property {string} end
 * @property {string[]} thread none for all
 * @property {string} search
 */

const POLL_MS = 2000;
const THREADS_SHOWN = 60;
const CHOICES_SHOWN = 200; // of each list; a project may have a hundred thousand profilers
const HOTTEST_SHOWN = 25;
const PRESETS = [['all', 0], ['day', 86400], ['hour', 3600], ['5 min', 300], ['minute', 60]];

/** @param {string} id @returns {any} */
const part = (id) => document.getElementById(id);

/** An element with text. @param {string} tag @param {string} [text] @param {string} [className] */
function make(tag, text = '', className = '') {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

const count = (n) => Number(n).toLocaleString('en');
const many = (n, one, more = `${one}s`) => `${count(n)} ${n === 1 ? one : more}`;

/** @param {number} seconds unix time */
function moment(seconds) {
  return new Date(seconds * 1000).toISOString().replace('T', ' ').replace(/\.?0*Z$/, '');
}

/* ---- the API: the only place that fetches ---- */

class Problem extends Error {}

/** @param {string} path @param {URLSearchParams} [query] @param {AbortSignal} [signal] */
async function ask(path, query, signal) {
  const url = `/api/v1/${path}${query && query.size ? `?${query}` : ''}`;
  let answer;
  try {
    answer = await fetch(url, { signal, headers: { Accept: 'application/json' } });
  } catch (failure) {
    if (signal?.aborted) throw failure;
    throw new Problem('The server does not answer. Is it still running?');
  }
  if (answer.ok) return answer.json();
  let words = `${answer.status} ${answer.statusText}`;
  if ((answer.headers.get('content-type') ?? '').includes('json')) {
    const problem = await answer.json();
    words = [problem.title, problem.detail].filter(Boolean).join(': ') || words;
  }
  throw new Problem(words);
}

const projectPath = (state, rest) => `projects/${encodeURIComponent(state.project)}/${rest}`;

/** What the flame graph routes are asked. @param {State} state */
function selectionQuery(state) {
  const query = new URLSearchParams();
  for (const name of ['profiler_id', 'transaction', 'start', 'end']) if (state[name]) query.set(name, state[name]);
  for (const thread of state.thread) query.append('thread', thread);
  return query;
}

/* ---- the URL ---- */

/** @returns {State} */
function readState() {
  const query = new URLSearchParams(location.search);
  const text = (name) => query.get(name) ?? '';
  return {
    project: text('project'),
    profiler_id: text('profiler_id'),
    transaction: text('transaction'),
    start: text('start'),
    end: text('end'),
    thread: query.getAll('thread'),
    search: text('search'),
  };
}

/** @param {State} state @param {boolean} [quietly] replace instead of push */
function writeState(state, quietly = false) {
  const query = selectionQuery(state);
  if (state.search) query.set('search', state.search);
  const all = new URLSearchParams(state.project ? [['project', state.project], ...query] : [...query]);
  const url = all.size ? `?${all}` : location.pathname;
  if (quietly) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
}

/* ---- the page ---- */

let state = readState();
let projects = [];
let profilers = [];
let transactions = [];
let unlisted = { profilers: 0, transactions: 0 }; // beyond the lists' limits
/** @type {AbortController|null} */
let running = null;
let threadsOf = ''; // the selection whose threads are listed
let threads = [];

const view = new FlameView(part('flame'), {
  onZoom: (zoomed) => { part('reset').disabled = !zoomed; },
  onFocus: (text) => { part('focus').textContent = text; },
  onDrawn: (boxes) => { part('flame').dataset.boxes = String(boxes); },
});

/** @param {'loading'|'empty'|'drawn'|'problem'} what */
function enter(what) {
  document.body.dataset.state = what;
  part('empty').hidden = what !== 'empty';
  part('main').hidden = what === 'empty';
  part('choose-project').hidden = what === 'empty';
  part('flame').classList.toggle('busy', what === 'loading');
  document.title = what === 'empty' ? 'hearth: waiting' : `project ${state.project} · hearth`;
}

/** @param {unknown} failure */
function complain(failure) {
  if (failure instanceof DOMException && failure.name === 'AbortError') return;
  part('problem').textContent = failure instanceof Error ? failure.message : String(failure);
  part('problem').hidden = false;
  view.show(null); // an old picture under a new question would mislead
  part('coverage').textContent = '';
  part('hottest').replaceChildren();
  enter('problem');
  if (!(failure instanceof Problem)) throw failure;
}

/** Change the state and draw what it says. @param {Partial<State>} change */
function go(change) {
  state = { ...state, ...change };
  writeState(state);
  refresh();
}

function showProjects() {
  part('project').replaceChildren(...projects.map((p) => {
    const option = make('option', String(p.project_id));
    option.value = String(p.project_id);
    return option;
  }));
  part('project').value = state.project;
  const p = projects.find((one) => String(one.project_id) === state.project);
  part('project-facts').textContent = p
    ? `${many(p.profilers, 'profiler')}, ${many(p.chunks, 'chunk')}, ${many(p.profiles, 'transaction profile')}`
    : '';
}

/** One entry of a list on the left. */
function choice(chosen, title, right, second, onChoose) {
  const button = make('button');
  button.type = 'button';
  button.setAttribute('aria-pressed', String(chosen));
  const first = make('span', '', 'first');
  first.append(title, make('span', right, 'quiet'));
  button.append(first);
  if (second) button.append(make('span', second, 'second'));
  button.addEventListener('click', onChoose);
  const item = make('li');
  item.append(button);
  return item;
}

/** Those whose words hold what is looked for, no more than a list can show, and how many are left.
 * @template T @param {HTMLElement} list @param {T[]} rows
 * @param {number} unlisted how many the server did not list @param {(row: T) => string[]} words
 * @param {(row: T) => HTMLElement} element @param {HTMLElement[]} [first] */
function showChoices(list, rows, unlisted, words, element, first = []) {
  const wanted = part('find').value.trim().toLowerCase();
  const found = rows.filter((row) => words(row).some((word) => word.toLowerCase().includes(wanted)));
  const rest = found.length - CHOICES_SHOWN;
  list.replaceChildren(...first, ...found.slice(0, CHOICES_SHOWN).map(element),
    ...(rest > 0 ? [make('li', `and ${count(rest)} more: find them above`, 'quiet')] : []),
    ...(unlisted > 0 ? [make('li', `and ${count(unlisted)} that the server did not list`, 'quiet')] : []));
}

function showSources() {
  const plain = { start: '', end: '', thread: [] };
  const everything = choice(!state.profiler_id && !state.transaction, make('span', 'everything'), '', 'all profilers and transaction profiles',
    () => go({ ...plain, profiler_id: '', transaction: '' }));
  const words = (p) => [p.platform, p.release, p.environment].filter(Boolean);
  showChoices(part('profilers'), profilers, unlisted.profilers, (p) => [p.profiler_id, ...words(p)], (p) => choice(
    state.profiler_id === p.profiler_id,
    make('span', p.profiler_id.slice(0, 12), 'mono'),
    many(p.chunks, 'chunk'),
    [...words(p), `until ${moment(p.last)}`].join(' · '),
    () => go({ ...plain, profiler_id: p.profiler_id, transaction: '' }),
  ), [everything]);
  showChoices(part('transactions'), transactions, unlisted.transactions, (t) => [t.transaction], (t) => choice(
    state.transaction === t.transaction,
    make('span', t.transaction || '(no name)'),
    count(t.profiles + t.links),
    '',
    () => go({ ...plain, profiler_id: '', transaction: t.transaction }),
  ));
  part('profiler-count').textContent = profilers.length ? count(profilers.length + unlisted.profilers) : 'none';
  part('transaction-count').textContent = transactions.length ? count(transactions.length + unlisted.transactions) : 'none';
}

/** Last moment of what is selected, for the presets. */
function lastMoment() {
  const chosen = profilers.find((p) => p.profiler_id === state.profiler_id);
  if (chosen) return chosen.last;
  return projects.find((p) => String(p.project_id) === state.project)?.last;
}

function showWindow() {
  part('start').value = state.start;
  part('end').value = state.end;
  const last = lastMoment();
  part('presets').replaceChildren(...PRESETS.map(([name, seconds]) => {
    const button = make('button', seconds ? `last ${name}` : 'all');
    const start = seconds && last ? String(Math.floor(last - seconds)) : '';
    button.type = 'button';
    button.disabled = seconds > 0 && !last;
    button.setAttribute('aria-pressed', String(state.start === start && !state.end));
    button.addEventListener('click', () => go({ start, end: '' }));
    return button;
  }));
  for (const format of ['folded', 'speedscope', 'pprof', 'json']) {
    const query = selectionQuery(state);
    query.set('format', format);
    const link = part(`as-${format}`);
    link.href = `/api/v1/${projectPath(state, 'flamegraph')}?${query}`;
    link.download = '';
  }
}

function showThreads() {
  const chip = (text, title, chosen, onChoose) => {
    const button = make('button', text);
    button.type = 'button';
    button.title = title;
    button.setAttribute('aria-pressed', String(chosen));
    button.addEventListener('click', onChoose);
    return button;
  };
  const absent = state.thread.filter((id) => !threads.some((t) => t.id === id))
    .map((id) => ({ id, name: '', total: 0, sum: threads[0]?.sum ?? 0 }));
  const shown = [...absent, ...threads.slice(0, THREADS_SHOWN)];
  const chips = shown.map((t) => chip(
    t.name ? `${t.name} ${share(t.total, t.sum)}` : `thread ${t.id} ${share(t.total, t.sum)}`,
    `thread ${t.id}, ${duration(t.total)}`,
    state.thread.includes(t.id),
    () => go({ thread: state.thread.includes(t.id) ? state.thread.filter((id) => id !== t.id) : [...state.thread, t.id] }),
  ));
  const rest = threads.length - THREADS_SHOWN;
  part('threads').replaceChildren(
    ...(threads.length > 1 || absent.length > 0 ? [chip('all threads', 'all threads merged', state.thread.length === 0, () => go({ thread: [] })), ...chips] : []),
    ...(rest > 0 ? [make('span', `and ${many(rest, 'thread')} with less time`, 'quiet')] : []),
  );
}

/** The threads of the selection, heaviest first; asked once a selection. @param {AbortSignal} signal */
async function loadThreads(signal) {
  const query = selectionQuery({ ...state, thread: [] });
  const key = `${state.project}?${query}`;
  if (key !== threadsOf) {
    query.set('threads', 'separate');
    const answer = await ask(projectPath(state, 'flamegraph'), query, signal);
    const merged = new Map();
    for (const tree of answer.threads) {
      const total = tree.total_ns - tree.idle_ns;
      const known = merged.get(tree.thread_id);
      merged.set(tree.thread_id, { id: tree.thread_id, name: known?.name || tree.thread_name || '', total: total + (known?.total ?? 0) });
    }
    const list = [...merged.values()].sort((a, b) => b.total - a.total);
    const sum = list.reduce((all, t) => all + t.total, 0);
    threads = list.map((t) => ({ ...t, sum }));
    threadsOf = key;
  }
  showThreads();
}

/** Of those listed as chips: identifiers, however many names each went by. */
function threadsDrawn() {
  return state.thread.length === 0 ? threads.length : threads.filter((t) => state.thread.includes(t.id)).length;
}

/** The coverage block in words. */
function coverageInWords(c, layout, idle) {
  const words = [];
  const used = (used, found, what) => (found === 0 ? null : used === found ? many(found, what) : `${count(used)} of ${many(found, what)}`);
  const covered = [used(c.chunks_used, c.chunks_found, 'chunk'), used(c.profiles_used, c.profiles_found, 'transaction profile')].filter(Boolean);
  if (covered.length === 0) return 'No chunk or transaction profile lies in this window.';
  words.push(`Drawn from ${covered.join(' and ')}: ${many(c.samples, 'sample')} of ${many(threadsDrawn(), 'thread')}, ${duration(layout.sum)} in ${many(layout.count, 'node')}`
    + `${c.effective_hz ? `, about ${Number(c.effective_hz).toFixed(c.effective_hz < 10 ? 1 : 0)} samples a second of each thread` : ''}.`);
  if (idle > 0) words.push(`${duration(idle)} idle (empty stacks) are not drawn.`);
  if (c.first != null && c.last != null) words.push(`From ${moment(c.first)} to ${moment(c.last)} UTC.`);
  if (c.gaps.length > 0) {
    const missing = c.gaps.reduce((sum, [from, to]) => sum + (to - from), 0);
    words.push(`${many(c.gaps.length, 'gap')} of ${duration(missing * 1e9)} in all that no profile covers.`);
  }
  for (const l of c.left_out) words.push(`Left out: ${many(l.count, l.what)} (${l.reason}).`);
  if (c.left_out.length === 0) words.push('Nothing was left out.');
  return words.join(' ');
}

function showHottest(layout) {
  part('hottest').replaceChildren(...layout.hottest(HOTTEST_SHOWN).map((h) => {
    const row = make('tr');
    row.append(make('td', duration(h.self), 'number'), make('td', share(h.self, layout.sum), 'number'), make('td', duration(h.total), 'number'),
      make('td', frameName(h.frame), 'mono'), make('td', framePlace(h.frame), 'quiet'));
    return row;
  }));
}

function showSearch() {
  const matched = view.search(state.search);
  part('matched').textContent = matched < 0 || !view.layout ? '' : `${share(matched, view.layout.sum)} of the time`;
}

/** @param {AbortSignal} signal @param {Promise<void>} listed the threads */
async function drawSelection(signal, listed) {
  const query = selectionQuery(state);
  query.set('format', 'json');
  const answer = await ask(projectPath(state, 'flamegraph'), query, signal);
  const layout = new Layout(answer.frames, answer.nodes);
  view.show(layout);
  await listed;
  part('coverage').textContent = coverageInWords(answer.coverage, layout, answer.idle_ns);
  showHottest(layout);
  showSearch();
  part('flame').dataset.nodes = String(layout.count);
  enter('drawn');
}

async function loadLists(signal) {
  const [one, two] = await Promise.all([
    ask(projectPath(state, 'profilers'), undefined, signal),
    ask(projectPath(state, 'transactions'), undefined, signal),
  ]);
  const left = (answer, what) => answer.coverage.left_out.filter((l) => l.what === what).reduce((sum, l) => sum + l.count, 0);
  profilers = one.profilers;
  transactions = two.transactions;
  unlisted = { profilers: left(one, 'profilers'), transactions: left(two, 'transactions') };
}

/** Everything the state says, anew. */
async function refresh() {
  running?.abort();
  running = new AbortController();
  const { signal } = running;
  part('problem').hidden = true;
  part('search').value = state.search;
  enter('loading');
  try {
    projects = (await ask('projects', undefined, signal)).projects.filter((p) => p.chunks + p.profiles > 0);
    if (projects.length === 0) {
      showEmpty();
      return;
    }
    if (!projects.some((p) => String(p.project_id) === state.project)) {
      if (state.project) throw new Problem(`Project ${state.project} has no profiles. Choose another one above.`);
      state.project = String(projects[0].project_id);
      writeState(state, true);
    }
    showProjects();
    await loadLists(signal);
    showSources();
    showWindow();
    const listed = loadThreads(signal);
    listed.catch(() => {}); // drawSelection waits for it and tells
    await drawSelection(signal, listed);
  } catch (failure) {
    showProjects();
    complain(failure);
  }
}

/* ---- before the first profile ---- */

function showEmpty() {
  enter('empty');
  const dsn = `${location.protocol}//KEY@${location.host}/1`;
  part('empty-dsn').textContent = dsn;
  part('empty-python').textContent = `# pip install sentry-sdk
import sentry_sdk

sentry_sdk.init(
    dsn="${dsn}",
    traces_sample_rate=1.0,
    profile_session_sample_rate=1.0,
    profile_lifecycle="trace",
)`;
  part('empty-node').textContent = `// npm install @sentry/node @sentry/profiling-node
const Sentry = require("@sentry/node");
const { nodeProfilingIntegration } =
  require("@sentry/profiling-node");

Sentry.init({
  dsn: "${dsn}",
  integrations: [nodeProfilingIntegration()],
  tracesSampleRate: 1.0,
  profileSessionSampleRate: 1.0,
  profileLifecycle: "trace",
});`;
  setTimeout(refresh, POLL_MS);
}

/* ---- controls ---- */

function chooseTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  view.recolour();
}

part('project').addEventListener('change', (e) => go({ project: e.target.value, profiler_id: '', transaction: '', start: '', end: '', thread: [] }));
part('window').addEventListener('submit', (e) => {
  e.preventDefault();
  go({ start: part('start').value.trim(), end: part('end').value.trim() });
});
part('search').addEventListener('input', (e) => {
  state.search = e.target.value;
  writeState(state, true);
  showSearch();
});
part('find').addEventListener('input', showSources);
part('reset').addEventListener('click', () => view.zoom(-1));
part('theme').addEventListener('click', () => {
  const dark = getComputedStyle(document.documentElement).colorScheme === 'dark'
    || (!document.documentElement.dataset.theme && matchMedia('(prefers-color-scheme: dark)').matches);
  const next = dark ? 'light' : 'dark';
  localStorage.setItem('theme', next);
  chooseTheme(next);
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => view.recolour());
addEventListener('popstate', () => {
  state = readState();
  refresh();
});

chooseTheme(localStorage.getItem('theme') ?? '');
refresh();
