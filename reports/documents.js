const LANE = 17, LEVEL = 18, TEXT_LINE = 26;
const STATUS = {correct: "correct", spurious: "not in gold", missing: "in gold alone"};
const state = {hidden: new Set(), threshold: {entities: 0, relations: 0}, status: new Set(["correct", "spurious", "missing"])};

// Labels get hues that are as far from each other as the golden angle allows.
const labels = {entities: new Map(), relations: new Map()};
for (const found of data.documents)
  for (const kind of ["entities", "relations"])
    for (const row of found[kind]) labels[kind].set(row.label, (labels[kind].get(row.label) || 0) + 1);
const hues = new Map([...labels.entities.keys(), ...labels.relations.keys()].map((label, n) => [label, (n * 137.5) % 360]));
const color = label => `hsl(${hues.get(label)} 65% var(--light))`;

function visible(row, kind) {
  return !state.hidden.has(kind + row.label) && (row.score ?? 1) >= state.threshold[kind]
    && (!row.status || state.status.has(row.status));
}
function describe(row) {
  const score = row.score === null || row.score === undefined ? "" : ` ${row.score.toFixed(2)}`;
  return row.label + score + (row.status ? `, ${STATUS[row.status]}` : "");
}

// The words that a relation was read from: those without which its score falls most come first.
const wordsOf = row => [...(row.explanation?.words || [])].sort((a, b) => b.drop - a.drop);
const attention = word => [...word.head, ...word.tail].reduce((a, b) => a + b, 0);
function describeWords(row, found) {
  const name = word => found.characters.slice(word.start, word.end).join("");
  return wordsOf(row).map(word => `without \u201c${name(word)}\u201d ${(row.score - word.drop).toFixed(2)}`).join(", ");
}
function describeRelation(row, found) {
  return [describe(row), describeWords(row, found)].filter(Boolean).join("; ");
}
// Mark the words of a relation, darker ones with more attention.
function markWords(box, svg, pieces, row, found) {
  svg.querySelector(".words")?.remove();
  if (!row?.explanation) return;
  const frame = box.getBoundingClientRect(), most = Math.max(...wordsOf(row).map(attention), 1e-9);
  const group = draw("g", {class: "words", style: "pointer-events: none", "aria-hidden": "true"});
  for (const word of wordsOf(row)) {
    for (const piece of pieces.filter(p => p.start < word.end && word.start < p.end)) {
      const units = place => found.characters.slice(piece.start, Math.min(Math.max(place, piece.start), piece.end)).join("").length;
      const range = document.createRange();
      range.setStart(piece.node.firstChild, units(word.start));
      range.setEnd(piece.node.firstChild, units(word.end));
      for (const r of range.getClientRects())
        group.append(draw("rect", {x: r.left - frame.left, y: r.top - frame.top, width: r.width, height: r.height,
          fill: edge(row), opacity: .1 + .4 * attention(word) / most}));
    }
  }
  svg.prepend(group);
}
function edge(row) {
  return row.status === "spurious" ? "var(--wrong)" : row.status === "missing" ? "var(--missing)" : color(row.label);
}

// A lane for each entity: entities that overlap lie below each other, the longest one deepest.
function lanesOf(entities) {
  const lanes = new Map(), ends = [];
  for (const e of [...entities].sort((a, b) => (a.end - a.start) - (b.end - b.start) || a.start - b.start)) {
    let lane = 0;
    while ((ends[lane] || []).some(other => other.start < e.end && e.start < other.end)) lane++;
    (ends[lane] ||= []).push(e);
    lanes.set(e, lane);
  }
  return lanes;
}

// A level for each stretch above a line of text: stretches that overlap lie above each other, the shortest one lowest.
function stack(stretches) {
  const lines = new Map();
  for (const s of [...stretches].sort((a, b) => (a.right - a.left) - (b.right - b.left))) {
    const taken = lines.get(s.line) || lines.set(s.line, []).get(s.line);
    s.level = 0;
    while (taken.some(t => t.level === s.level && t.left < s.right + 6 && s.left < t.right + 6)) s.level++;
    taken.push(s);
  }
}

function renderBlock(block, found) {
  const entities = found.entities.filter(e => e.start >= block.start && e.end <= block.end && visible(e, "entities"));
  const relations = found.relations.filter(r => visible(r, "relations")
    && entities.includes(found.entities[r.head]) && entities.includes(found.entities[r.tail]));
  const box = make("div", {class: "block"});
  const cuts = new Set([block.start, block.end]);
  for (const e of entities) cuts.add(e.start).add(e.end);
  const borders = [...cuts].sort((a, b) => a - b);
  const pieces = borders.slice(0, -1).map((start, n) => {
    const node = make("span", {}, found.characters.slice(start, borders[n + 1]).join(""));
    box.append(node);
    return {start, end: borders[n + 1], node};
  });
  box.redraw = () => drawMarks(box, pieces, entities, relations, found);
  return box;
}

function drawMarks(box, pieces, entities, relations, found) {
  box.querySelector("svg")?.remove();
  const lanes = lanesOf(entities);
  const depth = Math.max(-1, ...lanes.values()) + 1;
  const measure = () => {
    const frame = box.getBoundingClientRect();
    const tops = [];
    const places = new Map(entities.map(e => {
      const rects = pieces.filter(p => p.start >= e.start && p.end <= e.end).flatMap(p => [...p.node.getClientRects()])
        .filter(r => r.width > 0);
      const rows = new Map();
      for (const r of rects) {
        const top = Math.round(r.top - frame.top);
        const row = rows.get(top) || {top, bottom: r.bottom - frame.top, left: Infinity, right: -Infinity};
        row.left = Math.min(row.left, r.left - frame.left);
        row.right = Math.max(row.right, r.right - frame.left);
        rows.set(top, row);
      }
      return [e, [...rows.values()].sort((a, b) => a.top - b.top)];
    }));
    return {places, width: frame.width};
  };
  const stretchesOf = ({places, width}) => relations.flatMap(r => {
    const head = places.get(found.entities[r.head])[0], tail = places.get(found.entities[r.tail])[0];
    if (!head || !tail) return [];
    const from = (head.left + head.right) / 2, to = (tail.left + tail.right) / 2;
    if (head.top === tail.top)
      return [{r, line: head.top, from, to, left: Math.min(from, to), right: Math.max(from, to), starts: true, ends: true}];
    const down = head.top < tail.top;
    return [
      {r, line: head.top, from, to: down ? width : 0, starts: true, left: down ? from : 0, right: down ? width : from},
      {r, line: tail.top, from: down ? 0 : width, to, ends: true, left: down ? 0 : to, right: down ? to : width},
    ];
  });
  box.style.lineHeight = `${TEXT_LINE}px`;
  box.style.padding = box.style.margin = "0";
  let stretches = stretchesOf(measure());
  stack(stretches);
  const height = Math.max(-1, ...stretches.map(s => s.level)) + 1;
  // Lines move apart to make room for marks below and arcs above.
  const line = TEXT_LINE + depth * LANE + height * LEVEL, above = (line - TEXT_LINE) / 2;
  box.style.lineHeight = `${line}px`;
  // A line of text stands in the middle of its room. The first line needs more above it, and the last one less below.
  box.style.paddingTop = `${Math.max(0, height * LEVEL - above)}px`;
  box.style.marginBottom = `${Math.min(0, depth * LANE - above)}px`;
  const layout = measure();
  stretches = stretchesOf(layout);
  stack(stretches);
  const svg = draw("svg", {role: "group", "aria-label": "entities and relations"});
  for (const [e, rows] of layout.places) {
    const group = draw("g", {tabindex: 0, role: "img", class: e.status || "",
      "aria-label": `${describe(e)}: ${found.characters.slice(e.start, e.end).join("")}`});
    group.append(draw("title", {}, `${describe(e)}: ${found.characters.slice(e.start, e.end).join("")}`));
    rows.forEach((row, n) => {
      const y = row.bottom + 1 + lanes.get(e) * LANE;
      group.append(draw("line", {class: "stroke", x1: row.left, x2: row.right, y1: y, y2: y, stroke: edge(e), "stroke-width": 3}));
      if (n === 0) group.append(draw("text", {x: row.left, y: y + 12}, e.label));
    });
    svg.append(group);
  }
  for (const s of stretches) {
    const base = s.line - 1, y = base - 9 - s.level * LEVEL;
    const group = draw("g", {tabindex: s.starts ? 0 : -1, role: "img", class: s.r.status || "",
      "aria-label": `relation ${describeRelation(s.r, found)}`});
    group.append(draw("title", {}, describeRelation(s.r, found)));
    for (const event of ["mouseenter", "focus"])
      group.addEventListener(event, () => markWords(box, svg, pieces, s.r, found));
    for (const event of ["mouseleave", "blur"])
      group.addEventListener(event, () => markWords(box, svg, pieces, null, found));
    const path = `M ${s.from} ${s.starts ? base : y} V ${y} H ${s.to}` + (s.ends ? ` V ${base}` : "");
    group.append(draw("path", {class: "arc stroke", d: path, stroke: edge(s.r)}));
    if (s.ends) group.append(draw("path", {d: `M ${s.to - 4} ${base - 6} h 8 l -4 6 z`, fill: edge(s.r)}));
    // A label that is wider than its arc stands above it, inside the page.
    const half = s.r.label.length * 3.4 + 4, middle = (s.left + s.right) / 2;
    const x = Math.min(Math.max(middle, half), Math.max(layout.width - half, half));
    group.append(draw("text", {x, y: s.right - s.left < 2 * half ? y - 3 : y + 4, "text-anchor": "middle"}, s.r.label));
    svg.append(group);
  }
  box.append(svg);
}

function renderTable(found) {
  const entities = found.entities.filter(e => visible(e, "entities"));
  const relations = found.relations.filter(r => visible(r, "relations")
    && entities.includes(found.entities[r.head]) && entities.includes(found.entities[r.tail]));
  const name = e => found.characters.slice(e.start, e.end).join("");
  const rows = [
    ...entities.map(e => make("tr", {}, make("td", {}, name(e)), make("td", {}, describe(e)))),
    ...relations.map(r => make("tr", {},
      make("td", {}, `${name(found.entities[r.head])} \u2192 ${name(found.entities[r.tail])}`),
      make("td", {}, describeRelation(r, found)))),
  ];
  const head = make("thead", {}, make("tr", {}, make("th", {scope: "col"}, "text"), make("th", {scope: "col"}, "label and score")));
  return make("details", {}, make("summary", {}, `${entities.length} entities, ${relations.length} relations`),
    make("table", {}, head, make("tbody", {}, ...rows)));
}

function render(section) {
  const found = section.found;
  // Offsets count Unicode characters, and strings here count units of 16 bits.
  found.characters ||= [...found.text];
  const blocks = found.blocks.map(block => renderBlock(block, found));
  section.replaceChildren(section.heading, ...blocks, renderTable(found));
  for (const box of blocks) box.redraw();
  section.stale = false;
}

const near = new Set();
const observer = new IntersectionObserver(entries => {
  for (const {target, isIntersecting} of entries) {
    if (!isIntersecting) { near.delete(target); continue; }
    near.add(target);
    if (target.stale) render(target);
  }
}, {rootMargin: "400px"});
for (const found of data.documents) {
  const section = make("section", {});
  section.found = found;
  section.stale = true;
  section.heading = make("h2", {}, found.key);
  section.append(section.heading, make("div", {class: "block"}, found.text));
  main.append(section);
  observer.observe(section);
}
function refresh() {
  for (const section of main.children) section.stale = true;
  for (const section of near) render(section);
  let shown = {entities: 0, relations: 0};
  for (const found of data.documents)
    for (const kind of ["entities", "relations"]) shown[kind] += found[kind].filter(row => visible(row, kind)).length;
  document.getElementById("count").textContent =
    `${data.documents.length} document${data.documents.length === 1 ? "" : "s"}, ${shown.entities} entities, ${shown.relations} relations shown`;
}
function filters() {
  const form = document.getElementById("filters");
  form.addEventListener("submit", event => event.preventDefault());
  for (const kind of ["entities", "relations"]) {
    if (!labels[kind].size) continue;
    const group = make("fieldset", {}, make("legend", {}, kind));
    for (const [label, count] of [...labels[kind]].sort()) {
      const box = make("input", {type: "checkbox", checked: "", "data-kind": kind, "data-label": label});
      box.addEventListener("change", () => {
        state.hidden[box.checked ? "delete" : "add"](kind + label);
        refresh();
      });
      const swatch = make("span", {class: "swatch", style: `background: ${color(label)}`});
      group.append(make("label", {}, box, " ", swatch, `${label} (${count})`));
    }
    const slider = make("input", {type: "range", min: 0, max: 1, step: .01, value: 0, "data-threshold": kind});
    const value = make("output", {}, "0.00");
    slider.addEventListener("input", () => {
      state.threshold[kind] = Number(slider.value);
      value.textContent = state.threshold[kind].toFixed(2);
      refresh();
    });
    group.append(make("label", {}, "least score ", slider, " ", value));
    form.append(group);
  }
  if (data.has_gold) {
    const group = make("fieldset", {}, make("legend", {}, "compared with gold"));
    for (const [status, text] of Object.entries(STATUS)) {
      const box = make("input", {type: "checkbox", checked: "", "data-status": status});
      box.addEventListener("change", () => {
        state.status[box.checked ? "add" : "delete"](status);
        refresh();
      });
      group.append(make("label", {}, box, " ", text));
    }
    form.append(group);
  }
}
filters();
refresh();
// Another width breaks lines elsewhere. A scroll bar that appears changes it, too.
let width = main.clientWidth;
new ResizeObserver(() => { if (main.clientWidth !== width) { width = main.clientWidth; refresh(); } }).observe(main);
