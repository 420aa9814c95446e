for (const table of data.tables) {
  const head = make("tr", {}, ...table.head.map(cell => make("th", {scope: "col"}, cell)));
  const rows = table.rows.map(row => make("tr", {}, ...row.map(cell => make("td", {}, String(cell)))));
  main.append(make("table", {}, make("caption", {}, table.caption), make("thead", {}, head), make("tbody", {}, ...rows)));
}
for (const chart of data.charts) {
  const bar = 38, height = 140;
  const svg = draw("svg", {width: chart.bars.length * bar + 10, height: height + 44, class: "bars", role: "img", "aria-label": chart.caption});
  chart.bars.forEach(([name, value, count], n) => {
    const size = Math.round(value * height), x = n * bar + 5;
    const group = draw("g", {}, draw("title", {}, `${name}: ${(100 * value).toFixed(1)} %, ${count} annotated`));
    group.append(draw("rect", {x, y: height - size + 14, width: bar - 8, height: size, fill: "var(--bar)"}));
    group.append(draw("text", {x: x + bar / 2 - 4, y: height - size + 11, "text-anchor": "middle"}, (100 * value).toFixed(0)));
    group.append(draw("text", {x: x + bar / 2 - 4, y: height + 28, "text-anchor": "middle"}, name));
    group.append(draw("text", {x: x + bar / 2 - 4, y: height + 42, "text-anchor": "middle"}, `n=${count}`));
    svg.append(group);
  });
  main.append(make("figure", {}, make("figcaption", {}, chart.caption), svg));
}
