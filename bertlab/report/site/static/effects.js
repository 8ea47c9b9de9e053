/* All effects of all studies, in units of their margins, on one axis that is straight near the margin. */

"use strict";

(() => {
  const { el, number, signed, group, SHAPES, shape, figure, plot, choice, tick } = charts;
  const effects = charts.data();
  const WORDS = { worse: "worse", better: "better", same: "equivalent", open: "open" };
  const TICKS = [-30, -10, -3, -1, 0, 1, 3, 10, 30];
  const state = { regime: "", primary: true };
  const shown = () => effects.filter((each) => (!state.regime || each.regime === state.regime) && (each.primary || !state.primary));
  const ink = (each) => (each.primary ? `var(--${group(each.kind)})` : "var(--open)");
  const form = (each) => SHAPES[each.primary ? group(each.kind) : "explored"];
  const mark = (r) => ({ x: "mean", r, fill: (each) => (each.primary ? ink(each) : "var(--card)"), stroke: ink, symbol: (each) => form(each)[0], rotate: (each) => form(each)[1] });
  const words = (each) => `${each.arm}\nagainst ${each.against}\n${signed(each.mean, 2)} margins (${signed(each.low, 2)} to ${signed(each.high, 2)})\n${each.primary ? each.kind : "exploratory"} · ${each.study}, ${each.regime}`;
  const reach = d3.max(effects, (each) => Math.max(-each.low, each.high)) * 1.05;
  const axis = (width) => ({ type: "symlog", constant: 1, domain: [-reach, reach], label: "← better · difference in margins · worse →", labelAnchor: "center", ticks: width < 500 ? [-10, -1, 0, 1, 10] : TICKS, tickFormat: (at) => number(Math.abs(at), 0) });
  const zone = () => [Plot.rectX([0], { x1: -1, x2: 1, fill: "var(--zone)" }), Plot.ruleX([0], { stroke: "var(--muted)" })];
  const table = () => ({ head: ["study", "arm", "against", "difference (margins)", "interval", "verdict", "regime"], rows: shown().map((each) => [
    el("a", { href: `studies/${each.study}.html` }, each.study), each.arm, each.against, signed(each.mean, 2), `${signed(each.low, 2)} to ${signed(each.high, 2)}`, each.primary ? each.kind : "exploratory", each.regime]) });
  const key = () => el("div", { class: "key" }, Object.entries(WORDS).map(([name, text]) => el("span", {}, el("svg", { width: 14, height: 14 }, shape(name, 7, 7, { fill: `var(--${name})` })), ` ${text} (${shown().filter((each) => each.primary && group(each.kind) === name).length})`)));

  const short = (each, room) => { const text = `${each.arm} (${each.study})`; return text.length > room ? `${text.slice(0, room - 1)}…` : text; };

  const regimes = [...new Set(effects.map((each) => each.regime))].sort();
  const keys = el("span", {});
  const draws = [];
  const again = () => { keys.replaceChildren(key()); draws.forEach((draw) => draw()); };
  draws.push(figure(document.getElementById("all"), {
    title: "At a glance",
    caption: "A triangle points up for better and down for worse; hollow diamonds are exploratory. Marks are set above each other where they would overlap. Point at one to see what it is. The axis is nearly straight within the margin and logarithmic beyond.",
    controls: [choice("Regime", [["", "all"], ...regimes.map((name) => [name, name])], (value) => { state.regime = value; again(); }), tick("only what claims speak of", true, (value) => { state.primary = value; again(); }), keys],
    draw: (width) => plot({ width, height: width < 500 ? 260 : 220, marginBottom: 42, ariaLabel: "All effects in margins", x: axis(width), marks: [
      zone(), Plot.dot(shown(), Plot.dodgeY("bottom", { ...mark(width < 500 ? 3 : 5), padding: 1 })),
      Plot.tip(shown(), Plot.pointer(Plot.dodgeY("bottom", { x: "mean", r: width < 500 ? 3 : 5, padding: 1, title: words, fill: "var(--card)", stroke: "var(--muted)" })))] }),
    table,
  }));
  draws.push(figure(document.getElementById("sorted"), {
    title: "In order, with intervals",
    caption: "From the most harmful on top to the most helpful. Bars are the intervals that verdicts are read from. A name leads to its study.",
    draw: (width) => {
      const rows = d3.sort(shown(), (each) => -each.mean), narrow = width < 620, left = narrow ? 8 : Math.min(430, width * 0.46);
      const step = narrow ? 34 : 21, at = (_, place) => place;
      return plot({ width, height: rows.length * step + 70, marginLeft: left, marginTop: 34, marginBottom: 34, role: "group", ariaLabel: "Effects in order", x: { ...axis(width), axis: "both" },
        y: { type: "band", domain: d3.range(rows.length), axis: null }, marks: [
          zone(), Plot.ruleY(rows, { y: at, x1: "low", x2: "high", stroke: ink, strokeWidth: 2.5 }), Plot.dot(rows, { y: at, ...mark(4), title: words }),
          Plot.text(rows, { y: at, frameAnchor: "left", dx: narrow ? 0 : -8, dy: narrow ? -13 : 0, textAnchor: narrow ? "start" : "end", fill: "currentColor", text: (each) => short(each, narrow ? width / 6.4 : left / 6.3), href: (each) => `studies/${each.study}.html` })] });
    },
    table,
  }));
  again();
})();
