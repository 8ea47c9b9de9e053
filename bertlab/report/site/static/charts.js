/* What all charts share: elements, numbers, colours, and the frame with a table behind a button. */

"use strict";

globalThis.charts = (() => {
  /* The data of a page; tables ({ columns, rows }) become lists of objects. */
  const data = () => unfold(JSON.parse(document.getElementById("data").textContent));
  function unfold(value) {
    if (!value || typeof value !== "object") return value;
    if (value.columns) return value.rows.map((row) => Object.fromEntries(value.columns.map((name, at) => [name, row[at]])));
    if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(unfold) : value;
    return Object.fromEntries(Object.entries(value).map(([name, own]) => [name, unfold(own)]));
  }

  /* Make an element: el("p", { class: "small" }, "text", child). Properties that are functions listen to events. */
  function el(tag, properties = {}, ...children) {
    const svg = ["svg", "g", "path", "rect", "circle", "text", "line", "title"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") made.addEventListener(name, value);
      else made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }

  // ---- numbers, as the reports write them --------------------------------------------------------------------------
  const DASH = "–";
  const number = (value, digits = 3) =>
    !Number.isFinite(value) ? DASH : value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace("-", "−").replace(/^−(?=[0.,]*$)/, "");
  const signed = (value, digits = 3) => {
    const text = number(value, digits);
    return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
  };
  const between = (low, high, digits) => (Number.isFinite(low) ? `${signed(low, digits)} to ${signed(high, digits)}` : DASH);
  function short(value) { // tokens, FLOPs, seconds: 2.3 M
    for (const [unit, name] of [[1e15, " P"], [1e12, " T"], [1e9, " B"], [1e6, " M"], [1e3, " k"]]) if (value >= 0.9995 * unit) return `${+(value / unit).toPrecision(3)}${name}`;
    return `${+value.toPrecision(3)}`;
  }
  const p = (value) => (value < 0.001 ? "< 0.001" : number(value, 3));

  // ---- verdicts have four colours and shapes, as in the reports: worse, better, the same, open ---------------------
  const SHAPES = { // a symbol of Plot, its turn, and a path
    worse: ["triangle", 180, "M0 6L6-5H-6z"], better: ["triangle", 0, "M0-6L6 5H-6z"], same: ["square", 0, "M-5-5H5V5H-5z"],
    open: ["circle", 0, "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0"], explored: ["diamond", 0, "M0-7L5 0L0 7L-5 0z"],
  };
  const shape = (name, x, y, properties) => el("path", { d: SHAPES[name][2], transform: `translate(${x},${y})`, ...properties });
  const group = (kind) => (kind.startsWith("WORSE") ? "worse" : kind.startsWith("BETTER") ? "better" : kind.startsWith("EQUIVALENT") ? "same" : "open");
  const colour = (kind) => `var(--${group(kind)})`;
  const arms = (place) => `var(--a${(place % 8) + 1})`;

  // ---- the frame of a chart ----------------------------------------------------------------------------------------

  /* Fill a section with a figure. `draw(width)` returns a node and is called again when the width changes;
     `table()` returns { head, rows } and is asked when the button is pressed. Returns a function that draws anew. */
  function figure(section, { title, caption, controls = [], draw, table }) {
    const place = el("div", { class: "draw" });
    const wide = el("div", { class: "wide", tabindex: 0, role: "group", "aria-label": `${title}: table`, hidden: true });
    const button = el("button", { type: "button", "aria-expanded": "false", click: () => {
      wide.hidden = !wide.hidden;
      button.setAttribute("aria-expanded", String(!wide.hidden));
      button.textContent = wide.hidden ? "Show as a table" : "Hide the table";
      if (!wide.hidden) wide.replaceChildren(grid(table()));
    } }, "Show as a table");
    const frame = el("figure", {}, el("h2", {}, title), el("div", { class: "controls" }, controls), place, el("figcaption", {}, caption), el("p", { class: "controls" }, button), wide);
    section.replaceChildren(frame);
    let width = 0;
    const redraw = () => {
      width = place.clientWidth;
      place.replaceChildren(draw(width));
      if (!wide.hidden) wide.replaceChildren(grid(table()));
    };
    new ResizeObserver(() => { if (Math.abs(place.clientWidth - width) > 1) redraw(); }).observe(place);
    redraw();
    return redraw;
  }

  /* A chart of Plot as a picture with a name; the names that Plot gives to its groups are no help to listeners. */
  function plot({ role = "img", ...options }) {
    const made = Plot.plot({ ...options, style: { background: "none", color: "inherit" } });
    made.setAttribute("role", role);
    const strip = () => { for (const group of made.querySelectorAll("g[aria-label]")) group.removeAttribute("aria-label"); };
    new MutationObserver(strip).observe(made, { childList: true, subtree: true }); // a pointer adds groups later
    strip();
    return made;
  }

  function grid({ head, rows }) {
    const row = (cells, tag) => el("tr", {}, cells.map((cell, at) => el(tag === "th" ? "th" : at ? "td" : "th", { scope: tag === "th" ? "col" : at ? null : "row" }, cell instanceof Node ? cell : String(cell ?? DASH))));
    return el("table", {}, el("thead", {}, row(head, "th")), el("tbody", {}, rows.map((cells) => row(cells, "td"))));
  }

  function choice(words, options, change) {
    return el("label", {}, words, el("select", { input: (event) => change(event.target.value) }, options.map(([value, text]) => el("option", { value }, text))));
  }

  function tick(words, checked, change) {
    return el("label", {}, el("input", { type: "checkbox", checked, input: (event) => change(event.target.checked) }), words);
  }

  /* Offer a text as a file; it never leaves the machine. */
  function save(name, text, type = "text/plain") {
    const link = el("a", { href: URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  /* A scale for differences: straight within `unit` of zero, logarithmic beyond where ends lie far out. */
  function differences(domain, range, unit) {
    const far = Math.max(-domain[0], domain[1]) > 8 * unit;
    return far ? d3.scaleSymlog(domain, range).constant(unit) : d3.scaleLinear(domain, range);
  }

  return { data, el, number, signed, between, short, p, group, colour, SHAPES, shape, arms, figure, plot, grid, choice, tick, save, differences, DASH };
})();
