/* The rule to play with: mean, spread, seeds and margin make an interval, and the interval a verdict. */

"use strict";

(() => {
  const { el, number, signed, colour, figure } = charts;
  const NUMBERS = { // name: words, range, digits
    mean: { words: "Mean difference (nats; above 0 is worse)", min: -0.4, max: 0.4, step: 0.005, value: 0.08, digits: 3 },
    sd: { words: "Spread over seeds (standard deviation)", min: 0.005, max: 0.4, step: 0.005, value: 0.1, digits: 3 },
    n: { words: "Seeds", min: 3, max: 24, step: 1, value: 5, digits: 0 },
    margin: { words: "Margin: the smallest difference that matters", min: 0.02, max: 0.3, step: 0.005, value: 0.12, digits: 3 },
  };
  const LEVELS = [[0.9, "once: 90 % interval"], [0.9381659, "after 5 and 8 seeds: 93.8 % interval"]];
  const CLAIMS = {
    worse: "it is worse", better: "it is better", materially_worse: "it is materially worse", materially_better: "it is materially better",
    equivalent: "it makes no difference that matters", not_worse: "it is not materially worse", not_better: "it is not materially better",
  };
  const RULES = { // verdict: when, and what follows
    "WORSE (material)": ["the whole interval is right of the margin", "worse by more than the margin"],
    "BETTER (material)": ["the whole interval is left of the margin", "better by more than the margin"],
    EQUIVALENT: ["the whole interval is inside the margin", "any difference is too small to matter"],
    "WORSE, AT THE MARGIN": ["narrower than the margin, and holds its right end", "worse by about the margin; more seeds would not help"],
    "BETTER, AT THE MARGIN": ["narrower than the margin, and holds its left end", "better by about the margin; more seeds would not help"],
    "WORSE (size unresolved)": ["the interval is right of zero", "worse, by how much is open"],
    "BETTER (size unresolved)": ["the interval is left of zero", "better, by how much is open"],
    "NON-INFERIOR": ["the interval ends before the right margin", "not materially worse, perhaps better"],
    "NON-SUPERIOR": ["the interval begins after the left margin", "not materially better, perhaps worse"],
    INCONCLUSIVE: ["anything else", "nothing can be said yet; that is no evidence of equality"],
  };
  const EXAMPLES = { // words: mean, sd, n, margin
    "Clearly worse": [0.25, 0.06, 5, 0.12], "The same, shown": [0.01, 0.05, 8, 0.12], "“Not significant” is not “no effect”": [0.1, 0.2, 5, 0.12],
    "A difference too small to matter": [0.05, 0.03, 8, 0.12], "Needs more seeds": [0.1, 0.12, 4, 0.12],
  };
  const state = Object.fromEntries(Object.entries(NUMBERS).map(([name, own]) => [name, own.value]));
  let level = LEVELS[0][0], expects = "not_worse";

  const judged = (mean = state.mean, sd = state.sd) => {
    const own = rule.interval({ mean, sd, n: state.n, df: state.n - 1 }, level);
    return { ...own, kind: rule.kind(own.low, own.high, state.margin) };
  };

  // ---- what may be moved -------------------------------------------------------------------------------------------
  const inputs = {}, outputs = {};
  for (const [name, own] of Object.entries(NUMBERS)) {
    inputs[name] = el("input", { type: "range", min: own.min, max: own.max, step: own.step, value: own.value, name, input: (event) => set({ [name]: +event.target.value }) });
    outputs[name] = el("output", {});
    document.getElementById("sliders").append(el("label", {}, own.words, " ", outputs[name], inputs[name]));
  }
  const pick = (words, options, change) => el("label", {}, words, " ", el("select", { input: (event) => { change(event.target.value); set({}); } }, options.map(([value, text]) => el("option", { value, selected: value === expects }, text))));
  document.getElementById("sliders").append(
    pick("Results are looked at", LEVELS, (value) => { level = +value; }),
    pick("The claim:", Object.entries(CLAIMS), (value) => { expects = value; }));
  document.getElementById("examples").append("Try: ", ...Object.entries(EXAMPLES).map(([words, [mean, sd, n, margin]]) => el("button", { type: "button", click: () => set({ mean, sd, n, margin }) }, words)));
  for (const [kind, [when]] of Object.entries(RULES)) document.getElementById("list").append(el("li", { "data-kind": kind, style: `--k:${colour(kind)}` }, el("b", {}, kind), `: ${when}`));

  // ---- the interval against the margin -------------------------------------------------------------------------------
  const redraw = [figure(document.getElementById("picture"), {
    title: "The interval",
    caption: "Band: the margin. Bar: the interval. Curve: how likely the true difference is to lie there, if nothing else is known (Student's t about the mean).",
    draw: (width) => {
      const { low, high, se, df, kind } = judged(), { margin, mean } = state, height = 150;
      const x = d3.scaleLinear([-0.62, 0.62], [10, width - 10]).clamp(true), ink = colour(kind);
      const density = (at) => (1 + ((at - mean) / se) ** 2 / df) ** (-(df + 1) / 2);
      const hill = d3.area().x((at) => x(at)).y0(104).y1((at) => 104 - 70 * density(at))(d3.range(-0.62, 0.6201, 0.004));
      const claim = rule.claimP(expects, { mean, errors: [{ se, df }] }, margin), alpha = (1 - level) / 2;
      const found = claim.refutation <= alpha ? "REFUTED" : claim.support <= alpha ? "SUPPORTED" : "UNDECIDED";
      return el("div", {},
        el("div", { role: "status" }, el("p", { class: "verdict-now", style: `--k:${ink}` }, kind), el("p", { style: "margin:0" }, `${RULES[kind][1][0].toUpperCase()}${RULES[kind][1].slice(1)}. Interval ${signed(low)} to ${signed(high)}. The claim that ${CLAIMS[expects]} is `, el("b", {}, found), ".")),
        el("svg", { width, height, role: "img", "aria-label": `Interval ${signed(low)} to ${signed(high)}, margin ${number(margin)}: ${kind}` },
          el("rect", { x: x(-margin), width: x(margin) - x(-margin), y: 12, height: 106, fill: "var(--zone)" }),
          el("path", { d: hill, fill: ink, "fill-opacity": 0.18 }), el("path", { d: `M${x(0)} 12V118`, stroke: "var(--muted)" }),
          el("path", { d: `M${x(low)} 104H${x(high)}`, stroke: ink, "stroke-width": 5 }), el("circle", { cx: x(mean), cy: 104, r: 7, fill: ink }),
          [[-margin, "−margin"], [0, "0"], [margin, "+margin"]].map(([at, words]) => el("text", { x: x(at), y: 138, "text-anchor": "middle", fill: "currentColor" }, words)),
          el("text", { x: 4, y: 9, fill: "currentColor" }, "← better"), el("text", { x: width - 4, y: 9, fill: "currentColor", "text-anchor": "end" }, "worse →")));
    },
    table: () => ({ head: ["mean", "spread", "seeds", "margin", "low", "high", "verdict"], rows: [[signed(state.mean), number(state.sd), state.n, number(state.margin), signed(judged().low), signed(judged().high), judged().kind]] }),
  }), figure(document.getElementById("map"), {
    title: "Every mean and spread at once",
    caption: "Each point of the map is a mean (across) and a spread (up), at the seeds and margin chosen above; its colour is the verdict. The ring is where you are: click to go elsewhere. With more seeds the grey country of open verdicts shrinks.",
    draw: (width) => {
      const { mean: across, sd: up } = NUMBERS, height = Math.min(300, width * 0.8), columns = 90, lines = 60;
      const x = d3.scaleLinear([across.min, across.max], [34, width - 6]), y = d3.scaleLinear([0, up.max], [height - 30, 6]);
      const cells = d3.range(lines).flatMap((line) => { // neighbours of one verdict are one rectangle
        const sd = ((line + 0.5) * up.max) / lines, kinds = d3.range(columns).map((at) => judged(across.min + ((at + 0.5) * (across.max - across.min)) / columns, sd).kind);
        const starts = kinds.map((kind, at) => at).filter((at) => at === 0 || kinds[at] !== kinds[at - 1]);
        return starts.map((at, place) => ({ line, from: at, to: starts[place + 1] ?? columns, kind: kinds[at] }));
      });
      const along = (at) => x(across.min + (at * (across.max - across.min)) / columns), tall = (height - 36) / lines;
      const faint = (kind) => (kind === "INCONCLUSIVE" ? 0.25 : /material|EQUIV/.test(kind) ? 0.9 : /MARGIN/.test(kind) ? 0.65 : 0.45);
      return el("svg", { width, height, role: "img", "aria-label": "Map of verdicts by mean and spread", style: "cursor:crosshair", click: (event) => {
        const [at, high] = d3.pointer(event);
        set({ mean: x.invert(at), sd: y.invert(high) });
      } },
        cells.map(({ line, from, to, kind }) => el("rect", { x: along(from), width: along(to) - along(from), y: height - 30 - (line + 1) * tall, height: tall, "shape-rendering": "crispEdges", fill: colour(kind), "fill-opacity": faint(kind) }, el("title", {}, kind))),
        el("circle", { cx: x(state.mean), cy: y(state.sd), r: 7, fill: "none", stroke: "var(--ink)", "stroke-width": 3 }),
        [-0.4, -0.2, 0, 0.2, 0.4].map((at) => el("text", { x: x(at), y: height - 14, "text-anchor": at < -0.3 ? "start" : at > 0.3 ? "end" : "middle", fill: "currentColor" }, signed(at, 1))),
        [0, 0.2, 0.4].map((at) => el("text", { x: 28, y: y(at) + (at ? 8 : 0), "text-anchor": "end", fill: "currentColor" }, number(at, 1))),
        el("text", { x: width / 2, y: height - 1, "text-anchor": "middle", fill: "currentColor" }, "mean"));
    },
    table: () => ({ head: ["spread", ...[-0.3, -0.15, 0, 0.15, 0.3].map((at) => `mean ${signed(at, 2)}`)], rows: [0.02, 0.05, 0.1, 0.2, 0.3].map((sd) => [number(sd, 2), ...[-0.3, -0.15, 0, 0.15, 0.3].map((mean) => judged(mean, sd).kind)]) }),
  })];

  function set(values) {
    for (const [name, value] of Object.entries(values)) {
      const { min, max, step, digits } = NUMBERS[name];
      state[name] = +Math.min(max, Math.max(min, Math.round(value / step) * step)).toFixed(digits);
    }
    for (const [name, own] of Object.entries(NUMBERS)) {
      inputs[name].value = state[name];
      outputs[name].textContent = number(state[name], own.digits);
    }
    const now = judged().kind;
    for (const item of document.querySelectorAll("#list li")) item.dataset.kind === now ? item.setAttribute("aria-current", "true") : item.removeAttribute("aria-current");
    redraw.forEach((draw) => draw());
  }
  set({});
})();
