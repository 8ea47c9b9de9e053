/* The page of a study: its charts, its verdicts at another margin, and what one may take away. */

"use strict";

(() => {
  const { el, number, signed, between, short, group, colour, shape, arms: armColour, figure, plot, choice, tick, save, differences, DASH } = charts;
  const study = charts.data();
  const { digits, unit, baseline } = study;
  for (const each of [...study.contrasts, ...study.controls]) each.against ??= baseline.arm;
  for (const { arms } of study.curves) for (const [arm, own] of Object.entries(arms)) { // seeds are differences from the first
    const { seeds: [first, ...rest] = own, tokens } = own;
    arms[arm] = { tokens, seeds: first ? [first, ...rest.map((line) => line.map((value, k) => value + first[k]))] : [] };
  }
  const CLAIMS = {
    worse: "worse, by however little", better: "better, by however little", materially_worse: "worse by more than the margin",
    materially_better: "better by more than the margin", equivalent: "within the margin on both sides",
    not_worse: "not worse by more than the margin", not_better: "not better by more than the margin",
  };
  const CONTROLS = { same: "Control: the baseline against itself, one stream of chance drawn anew", harmful: "Control: an arm known to do harm" };
  const MUST = { same: "must be EQUIVALENT", harmful: "must be WORSE" };
  const names = Object.fromEntries([[baseline.arm, baseline.label], ...study.contrasts.map((each) => [each.arm, each.label])]);
  const registered = rule.judgeStudy(study, study.margin);
  const section = (id) => document.getElementById(id);

  // ---- differences, judged at any margin ---------------------------------------------------------------------------
  let margin = study.margin, judged = registered;

  function forest() {
    const REACH = 3; // powers of two, either way, that the slider goes to
    const slider = el("input", { type: "range", min: -REACH, max: REACH, step: 0.05, value: 0, "aria-label": "Margin", input: () => move(study.margin * 2 ** +slider.value) });
    const output = el("output", {});
    const note = el("p", { role: "status", style: "margin:.2rem 0" });
    const back = el("button", { type: "button", click: () => { slider.value = 0; move(study.margin); } }, "Back to the registered margin");
    const redraw = figure(section("forest"), {
      title: "Differences, and what they say",
      caption: [
        `Mark: the mean difference over seeds (${unit}; ${study.outcome}; small dots: single seeds). Bar: the interval that the verdict is read from. Band: the margin, what is too small to matter. `,
        study.lower ? "Right is worse: lower is better." : "Left is worse: higher is better.",
        " The axis is compressed far outside of the margin. Triangles point up for better and down for worse, a square is equivalent, a circle open. Exploratory arms are hollow and decide nothing: the claim does not speak of them.",
      ],
      controls: [el("label", {}, "Margin", slider, output), back],
      draw: (width) => el("div", {}, note, rows(width)),
      table: () => table(judged),
    });
    function move(to) {
      margin = to;
      judged = rule.judgeStudy(study, margin);
      const away = margin !== study.margin;
      slider.setAttribute("aria-valuetext", `${number(margin, digits)} ${unit}`);
      output.replaceChildren(`${number(margin, digits)} ${unit}`);
      back.hidden = !away;
      const was = `registered: ${number(study.margin, digits)} ${unit}, ${registered.finding}`;
      note.replaceChildren(...(away
        ? [el("span", { class: "explore" }, "Exploration. "), "At this margin the claim would be ", el("b", {}, judged.finding), ` (${was}). The verdict of the study stays.`]
        : ["The claim is ", el("b", {}, judged.finding), " at the registered margin. Move the slider to see how firm that is."]));
      const same = judged.controls.find((each) => each.arm === "same");
      if (!judged.sound) note.append(" The study could not have seen a difference, so nothing is judged.");
      else if (same.kind !== "EQUIVALENT") note.append(" The baseline is not shown to equal itself: no equality is supported, and a difference counts only beyond that of the control.");
      redraw();
    }
    move(study.margin);
  }

  const facing = (each) => { // the interval in the study's own direction
    const { low, high } = each.own;
    return study.lower ? [low, high] : [-high, -low];
  };
  const pairs = (each) => { // outcomes of both arms, on the seeds that both have
    const { seeds: numbers, arms } = study.values, own = arms[each.arm], its = arms[each.against];
    return numbers.map((seed, at) => ({ seed, from: its[at], to: own[at] })).filter(({ from, to }) => from !== null && to !== null);
  };
  const apart = (each) => { // paired differences, or those to the mean of the bank
    if (!study.bank) return pairs(each).map(({ seed, from, to }) => [seed, to - from]);
    const { seeds: numbers, arms } = study.values, mean = d3.mean(arms[each.against]);
    return numbers.map((seed, at) => [seed, arms[each.arm][at]]).filter(([, value]) => value !== null).map(([seed, value]) => [seed, value - mean]);
  };

  function rows(width) {
    const all = [...judged.contrasts, ...judged.controls];
    const ends = all.flatMap((each) => [...facing(each), ...apart(each).map(([, value]) => value)]).filter(Number.isFinite);
    const domain = [Math.min(-1.6 * margin, ...ends), Math.max(1.6 * margin, ...ends)];
    const narrow = width < 560, track = narrow ? width : Math.max(150, width - Math.min(272, width * 0.26) - 208 - 40);
    const x = differences(domain, [10, track - 10], study.margin);
    const zone = () => el("rect", { class: "zone", x: x(-margin), width: x(margin) - x(-margin), y: 0, height: 40 });
    const list = el("div", { class: "rows" }, el("span", { class: "head" }), el("div", { class: "track ruler" }, ruler(x, track)), el("span", { class: "head" }));
    for (const each of all) {
      const before = [...registered.contrasts, ...registered.controls].find((own) => own.arm === each.arm);
      const control = judged.controls.includes(each), open = !control && !each.expects;
      const [low, high] = facing(each), ink = open ? "var(--open)" : colour(each.kind);
      const words = open ? "exploratory" : each.words;
      const mark = el("svg", { width: track, height: 40, role: "img", "aria-label": `${control ? CONTROLS[each.arm] : each.label}: ${signed(each.mean, digits)}, ${between(low, high, digits)} ${unit}: ${words}` },
        zone(), el("path", { class: "zero", d: `M${x(0)} 0V40` }),
        apart(each).map(([seed, value]) => el("circle", { class: "seed", cx: x(value), cy: 30, r: 2.2 }, el("title", {}, `seed ${seed}: ${signed(value, digits)}`))),
        Number.isFinite(low) ? el("path", { d: `M${x(low)} 15H${x(high)}`, stroke: ink, "stroke-width": 3 }) : null,
        each.mean != null ? shape(open ? "explored" : group(each.kind), x(each.mean), 15, { fill: open ? "var(--card)" : ink, stroke: ink, "stroke-width": 2 }) : null);
      list.append(
        el("div", { class: "name" }, control ? el("i", {}, CONTROLS[each.arm]) : each.label, el("small", {}, `${each.arm}${each.against === baseline.arm ? "" : ` against ${each.against}`}, ${each.n} seeds`)),
        el("div", { class: "track" }, mark),
        el("div", { class: `verdict${open ? " exploratory" : ""}`, style: open ? null : `color:${ink}` }, words,
          el("small", {}, control ? MUST[each.arm] : each.finding ? `${each.finding.toLowerCase()}: claimed ${CLAIMS[each.expects]}` : ""),
          before.kind !== each.kind && !open ? el("small", { class: "moved" }, `registered: ${before.words}`) : null));
    }
    return list;
  }

  function ruler(x, track) {
    const [better, worse] = study.lower ? ["← better", "worse →"] : ["← worse", "better →"];
    const ticks = x.ticks(Math.max(3, Math.floor(track / 90))).sort((a, b) => Math.abs(a) - Math.abs(b)); // the inner ones first
    const shown = ticks.reduce((kept, at) => (kept.every((other) => Math.abs(x(other) - x(at)) > 44) ? [...kept, at] : kept), []);
    return el("svg", { width: track, height: 26, "aria-hidden": true }, shown.map((at) => el("text", { x: x(at), y: 24 }, signed(at, Math.min(digits, 2)))),
      el("text", { x: 0, y: 9, style: "text-anchor:start" }, better), el("text", { x: track, y: 9, style: "text-anchor:end" }, worse));
  }

  function table({ contrasts, controls }) {
    const head = ["arm", "what it changes", "n", `difference (${unit})`, `interval (${unit})`, "level", "verdict", "finding", "made of"];
    const cells = (each, control) => {
      const [low, high] = facing(each), level = each.expects ? study.level : 0.9;
      return [each.arm, each.changes, each.n, signed(each.mean ?? NaN, digits), between(low, high, digits), `${+(100 * level).toFixed(2)} %`, each.expects || control ? each.words : "exploratory", each.finding, each.made];
    };
    return { head, rows: [...contrasts.map((each) => cells(each, false)), ...controls.map((each) => cells(each, true))] };
  }

  // ---- seeds: each line is one seed, from the arm that is compared with to the arm ----------------------------------
  function slopes() {
    const shown = registered.contrasts.filter((each) => pairs(each).length);
    if (!shown.length) return;
    let shared = true;
    const every = shown.flatMap(pairs).flatMap(({ from, to }) => [from, to]);
    const redraw = figure(section("slopes"), {
      title: "Seed by seed",
      controls: shown.length > 1 ? [tick("one scale for all", true, (value) => { shared = value; redraw(); })] : [],
      caption: `Each line is one seed: left the arm that is compared with, right the arm. Lines that all lean one way are a difference one may trust; crossed ones are chance. ${study.bank ? "Arms are judged against a bank of the baseline's runs; only shared seeds are joined. " : ""}At the end of the run: ${study.outcome} (${unit === "percentage points" ? "%" : unit}).`,
      draw: () => el("div", { class: "small-multiples" }, shown.map((each) => {
        const lines = pairs(each), worse = (line) => (line.to > line.from) === study.lower;
        const points = lines.flatMap((line) => [{ ...line, x: 0, y: line.from }, { ...line, x: 1, y: line.to }]);
        const ink = (point) => (worse(point) ? "var(--worse)" : "var(--better)");
        const drawn = plot({
          width: 210, height: 170, marginLeft: 42, marginRight: 14, marginBottom: 24, marginTop: 8,
          ariaLabel: `${each.label}: ${lines.filter(worse).length} of ${lines.length} seeds worse`,
          x: { domain: [-0.1, 1.1], ticks: [0, 1], tickFormat: (at) => (at ? "arm" : each.against === baseline.arm ? "baseline" : "other"), label: null, tickSize: 0 },
          y: { domain: d3.nice(...d3.extent(shared ? every : points.map((point) => point.y)), 4), ticks: 4, label: null, tickFormat: (at) => number(at, digits > 1 ? 2 : 0) },
          marks: [Plot.gridY({ ticks: 4, strokeOpacity: 0.12 }), Plot.line(points, { x: "x", y: "y", z: "seed", stroke: ink, strokeWidth: 1.5 }),
            Plot.dot(points, { x: "x", y: "y", fill: ink, r: 2.6, title: (point) => `seed ${point.seed}: ${number(point.y, digits)}` })],
        });
        return el("div", {}, el("h3", {}, each.label), drawn);
      })),
      table: () => {
        const numbers = [...new Set(shown.flatMap((each) => pairs(each).map((line) => line.seed)))].sort((a, b) => a - b);
        return { head: ["arm minus what it is compared with", ...numbers.map((seed) => `seed ${seed}`)], rows: shown.map((each) => {
          const found = Object.fromEntries(apart(each));
          return [each.arm, ...numbers.map((seed) => (seed in found ? signed(found[seed], digits) : DASH))];
        }) };
      },
    });
  }

  // ---- curves ------------------------------------------------------------------------------------------------------
  function curves() {
    if (!study.curves.some((own) => own.tokens.length > 1)) return;
    const AXES = [["tokens", "tokens"], ["flops", "FLOPs"], ["seconds", "seconds of training"]];
    const MANY = 7; // arms; of more, only the baseline, the best and the one that is pointed at are coloured
    const state = { metric: 0, axis: "tokens", log: true, seeds: false, minus: false, hidden: new Set(), pointed: null };
    const arms = Object.keys(study.costs);
    const few = arms.length <= MANY;
    const best = ({ arms: own, lower }) => d3.sort(arms.filter((arm) => own[arm]?.seeds.length), (arm) => (lower ? 1 : -1) * d3.mean(own[arm].seeds, (line) => line.at(-1)))[0];
    const lit = (arm) => [state.pointed, best(study.curves[state.metric]), baseline.arm].indexOf(arm); // below 0: neither
    const ink = (arm) => (arm === baseline.arm ? "var(--ink)" : few ? armColour(arms.indexOf(arm) - 1) : ["var(--open)", "var(--a1)", "var(--a2)"][lit(arm) + 1]);

    /* Tokens as FLOPs or seconds: an arm's cost grows in step with its tokens. */
    function along(arm, tokens) {
      const cost = study.costs[arm][AXES.findIndex(([name]) => name === state.axis)];
      return state.axis === "tokens" ? tokens : (tokens * cost) / study.costs[arm][0];
    }
    function points(own, arm) {
      const { tokens = own.tokens, seeds: lines } = own.arms[arm];
      const scale = 10 ** own.digits, reference = own.arms[baseline.arm];
      const base = state.minus ? tokens.map((at) => { const k = own.tokens.indexOf(at); return k < 0 ? NaN : d3.mean(reference.seeds, (line) => line[k]); }) : tokens.map(() => 0);
      const point = (value, k, seed) => ({ arm, seed, tokens: tokens[k], x: along(arm, tokens[k]), y: (value - base[k]) / scale });
      const keep = (list) => list.filter((each) => Number.isFinite(each.y) && each.x > 0);
      return { mean: keep(tokens.map((_, k) => point(d3.mean(lines, (line) => line[k]), k, null))), single: keep(lines.flatMap((line, seed) => line.map((value, k) => point(value, k, seed)))) };
    }
    const shownArms = (own) => arms.filter((arm) => own.arms[arm] && own.arms[arm].seeds.length && !state.hidden.has(arm));
    const redraw = () => repaint();
    const pointAt = (arm) => () => { state.pointed = arm; if (!few) redraw(); };
    const set = (name) => (value) => { state[name] = value; redraw(); };
    const costs = AXES.filter((_, at) => Object.values(study.costs).every((own) => own[at] > 0));
    const key = el("div", { class: "key", role: "group", "aria-label": "Arms" }, arms.map((arm) => el("label", { mouseenter: pointAt(arm), focusin: pointAt(arm), mouseleave: pointAt(null), focusout: pointAt(null) },
      el("input", { type: "checkbox", checked: true, input: (event) => { event.target.checked ? state.hidden.delete(arm) : state.hidden.add(arm); redraw(); } }),
      el("i"), arm === baseline.arm ? `${names[arm]} (baseline)` : names[arm] || arm)));
    const repaint = figure(section("curves"), {
      title: study.curves.length > 1 ? "Along the training" : `Along the training: ${study.curves[0].words}`,
      caption: `Lines are means over seeds. ${few ? "" : "Of so many arms only the baseline and the best are coloured, and the one whose name is pointed at. "}FLOPs and seconds are those of an arm's whole run, spread evenly over its tokens; seconds depend on the machine. Point at the chart to read values.`,
      controls: [
        study.curves.length > 1 ? choice("Measure", study.curves.map((own, at) => [at, own.words]), (value) => set("metric")(+value)) : null,
        choice("Axis", costs, set("axis")), tick("logarithmic", true, set("log")), tick("single seeds", false, set("seeds")), tick("minus the baseline", false, set("minus")), key,
      ],
      draw: (width) => {
        const own = study.curves[state.metric], lines = d3.sort(shownArms(own), lit).map((arm) => points(own, arm));
        arms.forEach((arm, place) => key.children[place].querySelector("i").style.setProperty("--k", ink(arm)));
        const means = lines.flatMap((line) => line.mean), top = means.filter((each) => each.tokens > 0.05 * Math.max(...own.tokens));
        const read = d3.groups(means, (each) => each.tokens).map(([tokens, those]) => { // what a pointer reads: all arms at once
          const words = d3.sort(those, (each) => -each.y).map((each) => `${names[each.arm] || each.arm}: ${number(each.y, own.digits)}`);
          return { x: those[0].x, y: d3.max(those, (each) => each.y), words: [`after ${short(tokens)} tokens`, ...words].join("\n") };
        });
        const [low, high] = d3.extent(top.length ? top : means, (each) => each.y), pad = 0.06 * (high - low || 1);
        return plot({
          width, height: Math.min(420, 220 + width / 5), marginLeft: 50, marginBottom: 40, ariaLabel: `${own.words} along the training`,
          x: { type: state.log ? "log" : "linear", label: costs.find(([name]) => name === state.axis)[1], ticks: Math.max(2, width / 110), tickFormat: state.log ? (at) => ((width < 500 ? /^[15]/ : /^[125]/).test(at.toPrecision(1)) ? short(at) : "") : short },
          y: { label: `${width < 500 ? own.unit : `${own.words} (${own.unit})`}${state.minus ? ", minus the baseline" : ""}`, domain: [low - pad, high + pad], clamp: false, grid: true },
          marks: [
            state.seeds ? Plot.line(lines.flatMap((line) => line.single), { x: "x", y: "y", z: (each) => `${each.arm} ${each.seed}`, stroke: (each) => ink(each.arm), strokeWidth: 0.8, strokeOpacity: 0.85, clip: true }) : null,
            Plot.line(means, { x: "x", y: "y", z: "arm", stroke: (each) => ink(each.arm), strokeWidth: (each) => (each.arm === baseline.arm || (!few && lit(each.arm) >= 0) ? 3 : 1.8), clip: true }),
            Plot.dot(means, { x: "x", y: "y", r: 2, fill: (each) => ink(each.arm), clip: true }),
            Plot.ruleX(read, Plot.pointerX({ x: "x", maxRadius: Infinity, strokeOpacity: 0.4 })),
            Plot.tip(read, Plot.pointerX({ x: "x", y: "y", maxRadius: Infinity, stroke: "var(--muted)", fill: "var(--card)", title: "words" })),
          ],
        });
      },
      table: () => {
        const own = study.curves[state.metric];
        return { head: ["arm", ...own.tokens.map((tokens) => `${short(tokens)} tokens`)], rows: shownArms(own).map((arm) => {
          const found = new Map(points(own, arm).mean.map((each) => [each.tokens, each.y]));
          return [arm, ...own.tokens.map((tokens) => (found.has(tokens) ? number(found.get(tokens), own.digits) : DASH))];
        }) };
      },
    });
  }

  // ---- scale -------------------------------------------------------------------------------------------------------
  const TIMES = [10, 1e2, 1e3, 1e4, 1e5, 1e6, 2, 4, 30, 1.5, 1.25, 1.1]; // and their inverses: ticks of the axis of a ladder, the most wanted first
  function ladder() {
    if (!study.ladder || !section("ladder")) return;
    const arms = Object.entries(study.ladder.arms), times = (value) => `×${Math.exp(value).toFixed(2)}`;
    const rungs = arms.flatMap(([arm, own], at) => own.rungs.map(([rung, compute, mean, low, high]) => ({ arm, rung, compute: compute * (1 + 0.04 * at), mean, low, high, ink: armColour(at) })));
    const predicted = study.ladder.predicted.map(([arm, rung, compute, mean, low, high]) => ({ arm, rung, compute: compute * 0.94, mean, low, high, ink: armColour(arms.findIndex(([own]) => own === arm)) }));
    const bands = arms.flatMap(([arm, own], at) => own.band.map(([compute, mean, low, high]) => ({ arm, compute, mean, low, high, ink: armColour(at) })));
    const along = [...rungs, ...predicted, ...bands].map(({ compute }) => compute), ends = [Math.min(...along) / 2, Math.max(...along) * 2]; // one rung has a width too
    const climbed = new Set(rungs.map(({ rung }) => rung)), [top] = [...climbed].slice(-1);
    const parts = ["What an arm is worth in training tokens at each rung: above ×1.00 it saves them. Bars: 90 % intervals.",
      predicted.length ? "Hollow, dotted: the 80 % interval that was registered before the rung was run." : null, bands.length ? "Shaded: the 80 % band of the line through the rungs." : null];
    const reach = [...rungs, ...predicted, ...bands].flatMap(({ low, high }) => [low, high]), [bottom, most] = [Math.min(0, ...reach), Math.max(0, ...reach)];
    const marks = [0]; // ticks that do not touch each other
    for (const at of TIMES.flatMap((times) => [Math.log(times), -Math.log(times)]))
      if (bottom - 0.05 < at && at < most + 0.05 && marks.every((own) => Math.abs(own - at) > (most - bottom) / 14)) marks.push(at);
    figure(section("ladder"), {
      title: climbed.size > 1 ? "How it changes with scale" : `At one rung so far: ${top}`,
      caption: parts.filter(Boolean).join(" "),
      controls: [el("div", { class: "key" }, arms.map(([, own], at) => el("span", {}, el("i", { style: `--k:${armColour(at)}` }), ` ${own.label}${own.trend ? `: ${own.trend}` : ""}`)))],
      draw: (width) => plot({
        width, height: 340, marginLeft: 60, marginBottom: 40, ariaLabel: "Effect by compute",
        x: { type: "log", domain: ends, label: "FLOPs of a run", ticks: Math.max(2, width / 140), tickFormat: short }, y: { label: "times the tokens", ticks: marks, tickFormat: (at) => `×${+Math.exp(at).toPrecision(3)}`, grid: true },
        color: { type: "identity" }, // a band or a prediction may be missing, and nothing then shows that ink is a colour
        marks: [
          Plot.areaY(bands, { x: "compute", y1: "low", y2: "high", z: "arm", fill: "ink", fillOpacity: 0.13 }), Plot.line(bands, { x: "compute", y: "mean", z: "arm", stroke: "ink" }), Plot.ruleY([0]),
          Plot.ruleX(predicted, { x: "compute", y1: "low", y2: "high", stroke: "ink", strokeDasharray: "2 3" }), Plot.dot(predicted, { x: "compute", y: "mean", stroke: "ink", fill: "var(--card)", symbol: "diamond", r: 5 }),
          Plot.ruleX(rungs, { x: "compute", y1: "low", y2: "high", stroke: "ink", strokeWidth: 2 }), Plot.dot(rungs, { x: "compute", y: "mean", fill: "ink", r: 4.5, title: (each) => `${names[each.arm] || each.arm} at ${each.rung}: ${times(each.mean)}` }),
        ],
      }),
      table: () => ({ head: ["arm", "rung", "FLOPs", "times the tokens", "90 % interval", "predicted, 80 %", "fell inside"], rows: rungs.map((each) => {
        const own = study.ladder.predicted.find(([arm, rung]) => arm === each.arm && rung === each.rung);
        return [each.arm, each.rung, short(each.compute), times(each.mean), `${times(each.low)} to ${times(each.high)}`, own ? `${times(own[4])} to ${times(own[5])}` : DASH, own ? (own[4] <= each.mean && each.mean <= own[5] ? "yes" : "no") : DASH];
      }) }),
    });
  }

  // ---- to take away ------------------------------------------------------------------------------------------------
  function csv() {
    const head = ["arm", "role", "against", "changes", "n", "mean", "low", "high", "level", "moderated_sd", "df", "margin", "unit", "expects", "verdict", "finding"];
    const quote = (cell) => (/[",\n]/.test(String(cell ?? "")) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell ?? ""));
    const line = (each, role) => [each.arm, role, each.against, each.changes, each.n, each.mean, ...facing(each).map((end) => +end.toPrecision(7)), each.expects ? study.level : 0.9, each.sd, each.df, study.margin, unit, each.expects, role === "exploratory" ? "" : each.words, each.finding];
    const rows = [...registered.contrasts.map((each) => line(each, each.expects ? "primary" : "exploratory")), ...registered.controls.map((each) => line(each, "control"))];
    return [head, ...rows].map((cells) => cells.map(quote).join(",")).join("\n") + "\n";
  }

  function latex() {
    const safe = (text) => String(text ?? "").replace(/[\\&%$#_{}~^]/g, (mark) => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" })[mark] || `\\${mark}`).replaceAll("−", "$-$").replaceAll("–", "--");
    const lines = registered.contrasts.map((each) => {
      const [low, high] = facing(each);
      return `${[each.label, each.n, signed(each.mean ?? NaN, digits), `[${signed(low, digits)}, ${signed(high, digits)}]`, each.expects ? each.words : "exploratory"].map(safe).join(" & ")} \\\\`;
    });
    return ["% needs \\usepackage{booktabs}", "\\begin{tabular}{lrrrl}", "\\toprule", `arm & $n$ & difference (${safe(unit)}) & interval & verdict \\\\`, "\\midrule", ...lines, "\\bottomrule", "\\end{tabular}", ""].join("\n");
  }

  function bibtex() {
    const { status, version, registration, year } = study.about;
    const title = document.querySelector("h1").textContent;
    return [`@misc{bertlab-${study.name},`, "  author = {{The bertlab developers}},", `  title = {{${title}}},`, year ? `  year = {${year}},` : null,
      `  howpublished = {bertlab ${version || ""}, study ${study.name.replaceAll("_", "\\_")}},`, `  note = {Claim ${status.toLowerCase()} in regime ${study.about.regime}; registered as ${registration || "unknown"}},`, "}", ""].filter((line) => line !== null).join("\n");
  }

  function take() {
    const file = (words, ending, make, type) => el("button", { type: "button", click: () => save(`${study.name}.${ending}`, make(), type) }, words);
    const copy = el("button", { type: "button", click: async () => {
      try {
        await navigator.clipboard.writeText(section("command").textContent);
        copy.textContent = "Copied";
      } catch { // a page from a file may not reach the clipboard: then the text is selected for the reader to copy
        getSelection().selectAllChildren(section("command"));
        copy.textContent = "Selected: press Ctrl+C";
      }
    } }, "Copy the command");
    section("take").append(copy, file("CSV", "csv", csv, "text/csv"), file("LaTeX", "tex", latex, "application/x-tex"), file("BibTeX", "bib", bibtex, "application/x-bibtex"));
  }

  forest();
  ladder();
  slopes();
  curves();
  take();
  globalThis.study = { csv, latex, bibtex }; // for tests and the curious
})();
