// flame.js - a flame graph on one canvas: roots on top, a row a depth, widths are time.
//
// The tree comes as columns (breadth-first) and stays columns: typed arrays for start and width of
// every node, one list of nodes a row, in drawing order. A row is drawn from the first visible node
// (binary search) on; what is narrower than half a pixel is drawn as dust and jumped over, so that
// a frame costs the pixels it has, not the nodes.

/**
 * @typedef {object} Frame
 * @property {string} [function]
 * @property {string} [module]
 * @property {string} [package]
 * @property {string} [filename]
 * @property {string} [path]
 * @property {number} [line]
 * @property {boolean} [in_app]
 * @property {string} [platform]
 */

/**
 * @typedef {object} Nodes
 * @property {number[]} parent
 * @property {number[]} frame
 * @property {number[]} self_ns
 * @property {number[]} total_ns
 * @property {number[]} self_samples
 * @property {number[]} total_samples
 */

const ROW = 20;
const PAD = 5;
const ZOOM_MS = 160;

/** @param {number} ns */
export function duration(ns) {
  if (ns >= 60e9) return `${Math.floor(ns / 60e9)} min ${((ns % 60e9) / 1e9).toFixed(0)} s`;
  if (ns >= 1e9) return `${(ns / 1e9).toFixed(2)} s`;
  if (ns >= 1e6) return `${(ns / 1e6).toFixed(2)} ms`;
  if (ns >= 1e3) return `${(ns / 1e3).toFixed(1)} µs`;
  return `${ns} ns`;
}

/** @param {number} part @param {number} whole */
export function share(part, whole) {
  return whole > 0 ? `${((100 * part) / whole).toFixed(part / whole >= 0.1 ? 1 : 2)} %` : '–';
}

/** @param {Frame} f a function without a name is called by its file */
export function frameName(f) {
  if (f.function) return f.function;
  const file = (f.filename || f.path || '').split('/').pop();
  return file ? `(anonymous) ${file}${f.line ? `:${f.line}` : ''}` : '(no name)';
}

/** @param {Frame} f where it is, in words: module, file and line */
export function framePlace(f) {
  const file = f.filename || f.path || '';
  const line = f.line ? `:${f.line}` : '';
  return [f.module || f.package || '', file ? file + line : ''].filter(Boolean).join(' · ');
}

/** @param {string} text FNV-1a, for colours that stay the same between pages */
function hash(text) {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** The tree as typed arrays, siblings from heavy to light. */
export class Layout {
  /** @param {Frame[]} frames @param {Nodes} nodes */
  constructor(frames, nodes) {
    const count = nodes.parent.length;
    this.frames = frames;
    this.nodes = nodes;
    this.count = count;
    this.parent = Int32Array.from(nodes.parent);
    this.frame = Uint32Array.from(nodes.frame);
    this.total = Float64Array.from(nodes.total_ns);
    this.start = new Float64Array(count);
    this.depth = new Uint32Array(count);
    /** @type {Int32Array[]} nodes of each depth, left to right */
    this.rows = [];
    /** place of a node in its row */
    this.place = new Uint32Array(count);
    this.firstChild = new Int32Array(count).fill(-1);
    this.childCount = new Uint32Array(count);
    let roots = 0;
    for (let i = 0; i < count; i++) {
      const p = this.parent[i];
      if (p < 0) {
        roots++;
        continue;
      }
      if (this.childCount[p]++ === 0) this.firstChild[p] = i;
      this.depth[i] = this.depth[p] + 1;
    }
    this.sum = 0;
    for (let i = 0; i < roots; i++) this.sum += this.total[i];
    this.#arrange(roots);
  }

  #arrange(roots) {
    const heavier = (a, b) => this.total[b] - this.total[a] || a - b;
    const range = (first, n) => Array.from({ length: n }, (_, i) => first + i).sort(heavier);
    let row = range(0, roots);
    let at = 0;
    for (const i of row) {
      this.start[i] = at;
      at += this.total[i];
    }
    while (row.length > 0) {
      const below = [];
      row.forEach((node, place) => {
        this.place[node] = place;
        let x = this.start[node];
        for (const child of range(this.firstChild[node], this.childCount[node])) {
          this.start[child] = x;
          x += this.total[child];
          below.push(child);
        }
      });
      this.rows.push(Int32Array.from(row));
      row = below;
    }
  }

  /** First place in `row` whose node ends after `x`. @param {Int32Array} row @param {number} x */
  firstAfter(row, x) {
    let low = 0;
    let high = row.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.start[row[middle]] + this.total[row[middle]] > x) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Self time by frame, largest first. @param {number} limit */
  hottest(limit) {
    const self = new Float64Array(this.frames.length);
    const total = new Float64Array(this.frames.length);
    const { self_ns: selfNs } = this.nodes;
    for (let i = 0; i < this.count; i++) {
      const f = this.frame[i];
      self[f] += selfNs[i];
      let above = this.parent[i]; // recursion counts once
      while (above >= 0 && this.frame[above] !== f) above = this.parent[above];
      if (above < 0) total[f] += this.total[i];
    }
    return Array.from(self.keys())
      .filter((f) => self[f] > 0)
      .sort((a, b) => self[b] - self[a])
      .slice(0, limit)
      .map((f) => ({ frame: this.frames[f], self: self[f], total: total[f] }));
  }

  /** Time in frames that `matches` accepts, a call below another one counted once.
   * @param {Uint8Array} matches by frame */
  matchedTime(matches) {
    const below = new Uint8Array(this.count);
    let sum = 0;
    for (let i = 0; i < this.count; i++) {
      const p = this.parent[i];
      if (p >= 0 && below[p]) below[i] = 1;
      else if (matches[this.frame[i]]) {
        below[i] = 1;
        sum += this.total[i];
      }
    }
    return sum;
  }
}

export class FlameView {
  /**
   * @param {HTMLElement} box scrolls; gets the canvas
   * @param {{onZoom: (zoomed: boolean) => void, onFocus: (text: string) => void, onDrawn: (boxes: number) => void}} events
   */
  constructor(box, events) {
    this.box = box;
    this.events = events;
    this.canvas = document.createElement('canvas');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', 'Flame graph. Arrow keys move between frames, Enter zooms, Escape resets.');
    this.spacer = document.createElement('div');
    this.tip = document.createElement('div');
    this.tip.className = 'tip';
    this.tip.hidden = true;
    box.append(this.canvas, this.spacer);
    document.body.append(this.tip);
    this.context = this.canvas.getContext('2d');
    /** @type {Layout|null} */
    this.layout = null;
    this.from = 0;
    this.to = 1;
    this.zoomed = -1;
    this.focused = -1;
    /** @type {Uint8Array|null} */
    this.matches = null;
    /** @type {string[]} */
    this.colours = [];
    this.pending = 0;
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(box);
  }

  /** @param {Layout|null} layout */
  show(layout) {
    this.layout = layout;
    this.zoomed = -1;
    this.focused = -1;
    this.matches = null;
    this.from = 0;
    this.to = layout ? layout.sum || 1 : 1;
    this.box.scrollTop = 0;
    this.tip.hidden = true;
    this.recolour();
    this.#resize();
    this.events.onZoom(false);
  }

  /** Colours come from the style sheet: call again when the theme has changed. */
  recolour() {
    const style = getComputedStyle(document.documentElement);
    const value = (name) => style.getPropertyValue(name).trim();
    this.style = {
      text: value('--flame-text'),
      edge: value('--flame-edge'),
      dust: value('--flame-dust'),
      found: value('--flame-found'),
      focus: value('--flame-focus'),
    };
    const light = value('--flame-light');
    const app = value('--flame-app');
    const lib = value('--flame-lib');
    this.colours = (this.layout?.frames ?? []).map((f) => {
      const h = hash(f.module || f.package || f.filename || f.function || '');
      // application code burns from red to yellow, libraries are pale and cool
      return f.in_app ? `hsl(${8 + (h % 44)} ${app} ${light})` : `hsl(${150 + (h % 110)} ${lib} ${light})`;
    });
    this.redraw();
  }

  /** @param {string} text @returns {number} matched nanoseconds, -1 when nothing is looked for */
  search(text) {
    const wanted = text.trim().toLowerCase();
    if (!this.layout || wanted === '') {
      this.matches = null;
      this.redraw();
      return -1;
    }
    this.matches = Uint8Array.from(this.layout.frames, (f) =>
      `${f.module ?? ''}.${f.function ?? ''} ${f.filename ?? ''}`.toLowerCase().includes(wanted) ? 1 : 0);
    this.redraw();
    return this.layout.matchedTime(this.matches);
  }

  /** @param {number} node -1: everything */
  zoom(node) {
    if (!this.layout) return;
    this.zoomed = node;
    const from = node < 0 ? 0 : this.layout.start[node];
    const width = node < 0 ? this.layout.sum : this.layout.total[node];
    this.events.onZoom(node >= 0);
    this.tip.hidden = true;
    this.#glide(from, from + (width || 1));
  }

  #glide(from, to) {
    const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const begin = { from: this.from, to: this.to, time: performance.now() };
    this.motion = {};
    const mine = this.motion;
    const step = (now) => {
      if (this.motion !== mine) return; // another one took over
      const t = still ? 1 : Math.min(1, Math.max(0, now - begin.time) / ZOOM_MS);
      const eased = 1 - (1 - t) ** 3;
      this.from = begin.from + (from - begin.from) * eased;
      this.to = begin.to + (to - begin.to) * eased;
      this.#draw();
      if (t < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  redraw() {
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      this.#draw();
    });
  }

  #resize() {
    const ratio = window.devicePixelRatio || 1;
    const width = this.box.clientWidth;
    const height = this.box.clientHeight;
    const rows = this.layout ? this.layout.rows.length : 0;
    this.canvas.width = Math.max(1, Math.round(width * ratio));
    this.canvas.height = Math.max(1, Math.round(height * ratio));
    this.canvas.style.height = `${height}px`;
    this.spacer.style.height = `${Math.max(0, rows * ROW - height)}px`;
    this.#draw(); // a new size has wiped the canvas: waiting for the next frame would show that
  }

  #draw() {
    const { context: g, layout } = this;
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.width / ratio;
    const height = this.canvas.height / ratio;
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    if (!layout || layout.count === 0) {
      this.events.onDrawn(0);
      return;
    }
    g.font = '12px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
    g.textBaseline = 'middle';
    this.letter = g.measureText('M').width;
    const scale = width / (this.to - this.from);
    const first = Math.floor(this.box.scrollTop / ROW);
    const last = Math.min(layout.rows.length, Math.ceil((this.box.scrollTop + height) / ROW));
    let boxes = 0;
    for (let depth = first; depth < last; depth++) {
      boxes += this.#drawRow(layout.rows[depth], depth * ROW - this.box.scrollTop, scale, width);
    }
    this.events.onDrawn(boxes);
  }

  #drawRow(row, y, scale, width) {
    const { context: g, layout } = this;
    let boxes = 0;
    let dustFrom = -1;
    let dustTo = -1;
    const sweep = () => {
      if (dustFrom < 0) return;
      g.fillStyle = this.style.dust;
      g.fillRect(dustFrom, y, Math.max(0.5, dustTo - dustFrom), ROW - 1);
      dustFrom = -1;
    };
    let place = layout.firstAfter(row, this.from);
    while (place < row.length) {
      const node = row[place];
      const x = (layout.start[node] - this.from) * scale;
      if (x >= width) break;
      const w = layout.total[node] * scale;
      if (w < 0.5) {
        // everything that ends within this half pixel is one speck
        const next = Math.max(place + 1, layout.firstAfter(row, this.from + (x + 0.5) / scale));
        if (dustFrom < 0 || x - dustTo > 1) {
          sweep();
          dustFrom = x;
        }
        dustTo = x + 0.5;
        place = next;
        continue;
      }
      sweep();
      this.#drawBox(node, x, y, w, width);
      boxes++;
      place++;
    }
    sweep();
    return boxes;
  }

  #drawBox(node, x, y, w, width) {
    const { context: g, layout } = this;
    const frame = layout.frame[node];
    const left = Math.max(0, x);
    const right = Math.min(width, x + w);
    const found = this.matches !== null && this.matches[frame] === 1;
    const passed = this.zoomed >= 0 && layout.depth[node] < layout.depth[this.zoomed];
    g.globalAlpha = (this.matches !== null && !found) || passed ? 0.45 : 1;
    g.fillStyle = found ? this.style.found : this.colours[frame];
    const gap = right - left > 3 ? 1 : 0;
    g.fillRect(left, y, right - left - gap, ROW - 1);
    g.globalAlpha = 1;
    if (node === this.focused) {
      g.strokeStyle = this.style.focus;
      g.lineWidth = 2;
      g.strokeRect(left + 1, y + 1, Math.max(1, right - left - gap - 2), ROW - 3);
    }
    const letters = Math.floor((right - left - 2 * PAD) / this.letter);
    if (letters < 3) return;
    const name = frameName(layout.frames[frame]);
    g.fillStyle = found ? '#ffffff' : this.style.text;
    g.fillText(name.length <= letters ? name : `${name.slice(0, letters - 1)}…`, left + PAD, y + ROW / 2);
  }

  /** Node under a point of the window, -1 for none. */
  #pick(clientX, clientY) {
    if (!this.layout) return -1;
    const area = this.canvas.getBoundingClientRect();
    const row = this.layout.rows[Math.floor((clientY - area.top + this.box.scrollTop) / ROW)];
    if (!row) return -1;
    const x = this.from + ((clientX - area.left) / area.width) * (this.to - this.from);
    const node = row[this.layout.firstAfter(row, x)];
    return node !== undefined && this.layout.start[node] <= x ? node : -1;
  }

  /** The facts of a node, in words. */
  describe(node) {
    const { layout } = this;
    const f = layout.frames[layout.frame[node]];
    const { nodes } = layout;
    return {
      name: frameName(f),
      place: framePlace(f),
      self: `${duration(nodes.self_ns[node])} (${share(nodes.self_ns[node], layout.sum)}), ${nodes.self_samples[node]} samples`,
      total: `${duration(nodes.total_ns[node])} (${share(nodes.total_ns[node], layout.sum)}), ${nodes.total_samples[node]} samples`,
      kind: f.in_app ? 'application' : 'library or system',
    };
  }

  #showTip(node, x, y) {
    if (node < 0) {
      this.tip.hidden = true;
      return;
    }
    const facts = this.describe(node);
    const name = document.createElement('b');
    name.textContent = facts.name;
    const list = document.createElement('dl');
    for (const [term, text] of [['where', facts.place], ['self', facts.self], ['total', facts.total], ['code', facts.kind]]) {
      if (!text) continue;
      const dt = document.createElement('dt');
      const dd = document.createElement('dd');
      dt.textContent = term;
      dd.textContent = text;
      list.append(dt, dd);
    }
    this.tip.replaceChildren(name, list);
    this.tip.hidden = false;
    const size = this.tip.getBoundingClientRect();
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - size.width - 6))}px`;
    this.tip.style.top = `${y + 18 + size.height > innerHeight ? Math.max(4, y - size.height - 10) : y + 18}px`;
  }

  #focusOn(node) {
    if (node < 0 || !this.layout) return;
    this.focused = node;
    const top = this.layout.depth[node] * ROW;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
    const facts = this.describe(node);
    this.events.onFocus(`${facts.name}, ${facts.place}. Self ${facts.self}. Total ${facts.total}.`);
    const area = this.canvas.getBoundingClientRect();
    const scale = area.width / (this.to - this.from);
    const x = area.left + Math.max(0, (this.layout.start[node] - this.from) * scale);
    this.#showTip(node, x, area.top + top - this.box.scrollTop);
    this.redraw();
  }

  /** The node that a key leads to from the focused one. */
  #neighbour(key) {
    const { layout, focused } = this;
    if (focused < 0) return this.zoomed >= 0 ? this.zoomed : (layout.rows[0]?.[0] ?? -1);
    const row = layout.rows[layout.depth[focused]];
    const heaviestChild = layout.childCount[focused] === 0 ? -1
      : layout.rows[layout.depth[focused] + 1][layout.firstAfter(layout.rows[layout.depth[focused] + 1], layout.start[focused])];
    switch (key) {
      case 'ArrowDown': return heaviestChild;
      case 'ArrowUp': return layout.parent[focused];
      case 'ArrowRight': return row[layout.place[focused] + 1] ?? -1;
      case 'ArrowLeft': return row[layout.place[focused] - 1] ?? -1;
      default: return -1;
    }
  }

  #listen() {
    const { canvas } = this;
    canvas.addEventListener('pointermove', (e) => {
      const node = this.#pick(e.clientX, e.clientY);
      canvas.style.cursor = node < 0 ? '' : 'pointer';
      this.#showTip(node, e.clientX, e.clientY);
    });
    canvas.addEventListener('pointerleave', () => { this.tip.hidden = true; });
    canvas.addEventListener('click', (e) => {
      const node = this.#pick(e.clientX, e.clientY);
      if (node >= 0) {
        this.focused = node;
        this.zoom(node === this.zoomed ? -1 : node);
      }
    });
    canvas.addEventListener('keydown', (e) => {
      if (!this.layout || this.layout.count === 0) return;
      if (e.key.startsWith('Arrow')) this.#focusOn(this.#neighbour(e.key));
      else if (e.key === 'Enter' || e.key === ' ') this.zoom(this.focused);
      else if (e.key === 'Escape' || e.key === '0') this.zoom(-1);
      else return;
      e.preventDefault();
    });
    canvas.addEventListener('blur', () => { this.tip.hidden = true; });
    this.box.addEventListener('scroll', () => {
      this.tip.hidden = true;
      this.redraw();
    });
  }
}
