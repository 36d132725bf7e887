// Layout against plain loops, on seeded random trees; evaluated in the page, gives '' or what broke.
(async () => {
  const { Layout } = await import('/assets/flame.js');
  let seed = 20261122;
  const random = (n) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
  };

  // breadth-first columns of a random tree
  function tree(size, frames) {
    const parents = [];
    for (let i = 0; i < size; i++) parents.push(i === 0 || random(6) === 0 ? -1 : random(i));
    const children = Array.from({ length: size + 1 }, () => []);
    parents.forEach((p, i) => children[p + 1].push(i));
    const order = [...children[0]];
    for (let i = 0; i < order.length; i++) order.push(...children[order[i] + 1]);
    const place = new Map(order.map((node, i) => [node, i]));
    const parent = order.map((node) => (parents[node] < 0 ? -1 : place.get(parents[node])));
    const self = order.map(() => random(4) * random(1000));
    const total = [...self];
    for (let i = size - 1; i >= 0; i--) if (parent[i] >= 0) total[parent[i]] += total[i];
    const frame = order.map(() => random(frames));
    return {
      frames: Array.from({ length: frames }, (_, i) => ({ function: `f${i}` })),
      nodes: { parent, frame, self_ns: self, total_ns: total, self_samples: self, total_samples: total },
    };
  }

  const above = (nodes, i, frame) => {
    for (let p = nodes.parent[i]; p >= 0; p = nodes.parent[p]) if (frame(nodes.frame[p])) return true;
    return false;
  };

  function check({ frames, nodes }) {
    const layout = new Layout(frames, nodes);
    const roots = nodes.total_ns.reduce((sum, t, i) => sum + (nodes.parent[i] < 0 ? t : 0), 0);
    if (layout.sum !== roots) return `sum ${layout.sum}, not ${roots}`;
    if (layout.rows.reduce((sum, row) => sum + row.length, 0) !== nodes.parent.length) return 'rows lose nodes';
    for (const [depth, row] of layout.rows.entries()) {
      let at = 0;
      for (const [place, node] of row.entries()) {
        const [start, total, p] = [layout.start[node], layout.total[node], nodes.parent[node]];
        if (start < at) return `node ${node} begins inside its neighbour`;
        at = start + total;
        if (p >= 0 && (start < layout.start[p] || at > layout.start[p] + layout.total[p])) return `node ${node} leaves its parent`;
        if (layout.depth[node] !== depth || layout.place[node] !== place) return `node ${node} is not where it says`;
        const before = row[place - 1];
        if (place > 0 && nodes.parent[before] === p && layout.total[before] < total) return `node ${node} stands behind a lighter one`;
      }
      for (let i = 0; i < 5; i++) {
        const x = random(roots + 2) - 0.5;
        const plain = Array.from(row).findIndex((node) => layout.start[node] + layout.total[node] > x);
        if (layout.firstAfter(row, x) !== (plain < 0 ? row.length : plain)) return `search for ${x} in row ${depth}`;
      }
    }
    for (const { frame, self, total } of layout.hottest(frames.length)) {
      const f = frames.indexOf(frame);
      const sum = (values, counts) => values.reduce((all, v, i) => all + (nodes.frame[i] === f && counts(i) ? v : 0), 0);
      if (self !== sum(nodes.self_ns, () => true)) return `self of ${frame.function}`;
      if (total !== sum(nodes.total_ns, (i) => !above(nodes, i, (g) => g === f))) return `total of ${frame.function}`;
    }
    const matches = Uint8Array.from(frames, () => (random(3) === 0 ? 1 : 0));
    const matched = nodes.total_ns.reduce((all, t, i) => all + (matches[nodes.frame[i]] && !above(nodes, i, (g) => matches[g]) ? t : 0), 0);
    if (layout.matchedTime(matches) !== matched) return 'matched time';
    return '';
  }

  if (new Layout([], { parent: [], frame: [], self_ns: [], total_ns: [], self_samples: [], total_samples: [] }).sum !== 0) return 'empty tree';
  for (let round = 0; round < 200; round++) {
    const broken = check(tree(1 + random(120), 1 + random(12)));
    if (broken) return `round ${round}: ${broken}`;
  }
  return '';
})()
