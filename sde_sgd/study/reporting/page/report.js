"use strict";
(() => {
  // Tables: a click on a header sorts by its column, another one the other way; what is empty comes last.
  for (const button of document.querySelectorAll("table.sortable th button")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }

  function sortBy(head) {
    const heads = [...head.parentNode.children];
    const place = heads.indexOf(head);
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const isNumbers = "numbers" in head.dataset;
    const body = head.closest("table").tBodies[0];
    const key = (row) => row.children[place].dataset.value;
    const ordered = [...body.rows].sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      if (!isNumbers) return sign * a.localeCompare(b);
      return a === b ? 0 : sign * (Number(a) < Number(b) ? -1 : 1);
    });
    body.append(...ordered);
  }

  // Phase diagram: the chosen cell's survival curve, over those of the others of its panel.
  const holder = document.getElementById("phase-data");
  if (!holder) return;
  const data = JSON.parse(holder.textContent);
  const section = document.getElementById("phase");
  const chart = document.getElementById("chart");
  const buttons = [...section.querySelectorAll("button[data-cell]")];
  let chosen = data.first;

  function choose(number) {
    chosen = number;
    const cell = data.cells[number];
    buttons.forEach((button, place) => {
      button.setAttribute("aria-pressed", String(place === number));
      button.tabIndex = place === number ? 0 : -1;
    });
    document.getElementById("cell-title").textContent = cell.title;
    const facts = document.createElement("dl");
    for (const [name, value] of cell.facts) {
      const pair = document.createElement("div");
      pair.append(holding("dt", name), holding("dd", value));
      facts.append(pair);
    }
    document.getElementById("cell-facts").replaceChildren(facts);
    draw(cell);
  }

  function holding(name, text) {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  }

  function shape(name, attributes, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw(cell) {
    const [width, height] = [chart.clientWidth || 480, chart.clientHeight || 320];
    const [left, right, top, bottom] = [58, width - 12, 8, height - 38];
    const last = data.times[data.times.length - 1];
    const floor = data.floors[cell.panel];
    const across = (time) => left + ((right - left) * time) / last;
    const up = (value) => top + ((bottom - top) * Math.log(Math.max(value, floor))) / Math.log(floor);
    const svg = shape("svg", { role: "img", "aria-label": `Survival curve of ${cell.title}` });
    const add = (name, attributes, text) => svg.append(shape(name, attributes, text));

    add("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top });
    for (const value of probabilities(floor)) {
      add("path", { class: "frame", d: `M${left} ${up(value)}H${right}` });
      add("text", { x: left - 6, y: up(value) + 4, "text-anchor": "end" }, written(value));
    }
    for (const time of ticks(last)) {
      add("path", { class: "frame", d: `M${across(time)} ${bottom}v4` });
      add("text", { x: across(time), y: bottom + 17, "text-anchor": "middle" }, written(time));
    }
    add("text", { x: (left + right) / 2, y: height - 5, "text-anchor": "middle" }, "SDE time t = γ·iterations");
    const turned = `translate(11 ${(top + bottom) / 2}) rotate(-90)`;
    add("text", { transform: turned, "text-anchor": "middle" }, "P(no exit by t)");

    const line = (values) => {
      let isDown = false;
      const points = values.map((value, place) => {
        const isShown = value !== null && value >= floor;
        const step = isShown ? `${isDown ? "L" : "M"}${point(data.times[place], value)}` : "";
        isDown = isShown;
        return step;
      });
      return points.join("");
    };
    const point = (time, value) => `${across(time).toFixed(1)} ${up(value).toFixed(1)}`;
    for (const other of data.cells) {
      if (other.panel === cell.panel && other !== cell) add("path", { class: "other", d: line(other.value) });
    }
    if (cell.low && cell.high) {
      const known = data.times.map((_, place) => place).filter((place) => cell.high[place] !== null);
      const edge = (values) => (place) => point(data.times[place], values[place] ?? floor);
      const around = [...known.map(edge(cell.high)), ...known.reverse().map(edge(cell.low))];
      if (around.length) add("path", { class: "band", d: `M${around.join("L")}Z` });
    }
    if (cell.linear) add("path", { class: "linear", d: line(cell.linear) });
    add("path", { class: "curve", d: line(cell.value) });
    if (cell.exact) {
      for (let mark = 1; mark <= 12; mark += 1) {
        const place = data.times.findIndex((time) => time >= (last * mark) / 12.001);
        const value = cell.exact[place];
        if (value !== null && value >= floor) {
          add("circle", { class: "exact", cx: across(data.times[place]), cy: up(value), r: 3.2 });
        }
      }
    }
    chart.replaceChildren(svg);
  }

  function probabilities(floor) {
    const shown = [];
    for (let decade = 1; decade >= floor * 0.999; decade /= 10) {
      for (const digit of floor > 0.05 ? [1, 0.7, 0.5, 0.3, 0.2] : [1]) {
        if (decade * digit >= floor) shown.push(decade * digit);
      }
    }
    return shown;
  }

  function ticks(last) {
    const rough = last / 5;
    const size = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((digit) => digit * size).find((each) => each >= rough);
    return Array.from({ length: Math.floor(last / step + 1e-9) + 1 }, (_, place) => place * step);
  }

  function written(value) {
    return String(Number(value.toPrecision(3)));
  }

  function beside(button, key) {
    const entry = button.closest("td");
    const place = [...entry.parentNode.children].indexOf(entry);
    const rows = [...entry.closest("tbody").rows];
    const row = rows.indexOf(entry.parentNode);
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key] ?? [0, 0];
    return rows[row + down]?.children[place + right]?.querySelector("button");
  }

  buttons.forEach((button, number) => {
    button.addEventListener("focus", () => choose(number));
    button.addEventListener("click", () => choose(number));
    button.addEventListener("keydown", (event) => {
      const next = beside(button, event.key);
      if (next && next !== button) {
        event.preventDefault();
        next.focus();
      }
    });
  });
  for (const choice of section.querySelectorAll("input[name=by]")) {
    choice.addEventListener("change", () => { section.dataset.by = choice.value; });
    if (choice.checked) section.dataset.by = choice.value;
  }
  if (buttons.length) {
    choose(data.first);
    window.addEventListener("resize", () => draw(data.cells[chosen]));
  }
})();
