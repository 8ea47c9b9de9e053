/* The rule of verdicts in the browser: what bertlab/stats computes, so that a page can judge again at another margin.

   Enters: a contrast (mean, sd, n, df, the noise of the text) and a margin. Leaves: its interval, verdict and what it
   says of a claim. Words and order are those of bertlab/stats/rule.py, claim.py and bertlab/study/judge.py; a test
   compares both on 10,000 random cases. Differences are oriented first: positive means worse. */

"use strict";

globalThis.rule = (() => {
  const ALPHA = 0.05; // of a false support, and of a false refutation
  const KINDS = [
    "WORSE (material)", "BETTER (material)", "EQUIVALENT", "WORSE, AT THE MARGIN", "BETTER, AT THE MARGIN",
    "WORSE (size unresolved)", "BETTER (size unresolved)", "NON-INFERIOR", "NON-SUPERIOR", "INCONCLUSIVE",
  ];
  const NOT_COMPARED = ["INVALID", "VACUOUS", "UNSTABLE", "UNTESTABLE"];
  const WORSE = ["WORSE (material)", "WORSE, AT THE MARGIN", "WORSE (size unresolved)"];
  const MATERIAL = ["WORSE (material)", "BETTER (material)"];
  const BOUND = { // margins: where the true difference is when the claim is just false
    worse: 0, better: 0, materially_worse: 1, materially_better: -1, not_worse: 1, not_better: -1,
  };
  const WORSE_SIDE = ["worse", "materially_worse", "not_better"];

  // ---- Student's t -------------------------------------------------------------------------------------------------

  /* ln of the gamma function (Lanczos 1964, g = 7, nine terms). */
  const LANCZOS = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ];
  function lnGamma(x) {
    const y = x - 1, t = y + 7.5;
    const sum = LANCZOS.reduce((total, c, k) => (k ? total + c / (y + k) : c), 0);
    return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(t) - t + Math.log(sum);
  }

  /* The regularised incomplete beta function by its continued fraction (Lentz's method; Numerical Recipes 6.4). */
  function incompleteBeta(a, b, x, complement) {
    if (x <= 0) return 0;
    if (complement <= 0) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(b, a, complement, x);
    const front = lnGamma(a + b) - lnGamma(a) - lnGamma(b) + a * Math.log(x) + b * Math.log(complement);
    const tiny = 1e-300;
    let c = 1, d = 1 / (1 - ((a + b) * x) / (a + 1)), fraction = d;
    for (let m = 1; m < 10000; m++) {
      const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
      const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
      let change = 1;
      for (const term of [even, odd]) {
        d = 1 / (1 + term * d || tiny);
        c = 1 + term / c || tiny;
        change = c * d;
        fraction *= change;
      }
      if (Math.abs(change - 1) < 1e-16) break;
    }
    return (Math.exp(front) * fraction) / a;
  }

  /* P(T <= t) with df degrees of freedom. */
  function tCdf(df, t) {
    if (!Number.isFinite(t)) return t > 0 ? 1 : 0;
    const whole = df + t * t;
    const tail = 0.5 * incompleteBeta(df / 2, 0.5, df / whole, (t * t) / whole);
    return t > 0 ? 1 - tail : tail;
  }

  /* The t with P(T <= t) = p, for p above one half, by halving. */
  function tQuantile(df, p) {
    let low = 0, high = 1;
    while (1 - tCdf(df, -high) < p) high *= 2;
    for (let step = 0; step < 200 && high - low > 1e-15 * high; step++) {
      const middle = (low + high) / 2;
      if (1 - tCdf(df, -middle) < p) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }

  // ---- intervals and verdicts --------------------------------------------------------------------------------------

  /* Standard errors with their degrees of freedom: of the seeds alone, and with the noise of the text. `text`:
     [variance, df] of what all seeds share, the sample of held-out text, df null where it is known; degrees of freedom
     of the sum by Welch and Satterthwaite. */
  function errors({ sd, n, df, text }) {
    const own = (sd * sd) / n, shared = text ? text[0] : 0, whole = own + shared;
    const all = (whole * whole) / Math.max((own * own) / df + (shared * shared) / (text?.[1] ?? Infinity), 2.3e-308);
    return [{ se: Math.sqrt(own), df }, ...(shared ? [{ se: Math.sqrt(whole), df: all }] : [])];
  }

  /* mean +- t * se, the wider one of `errors`. */
  function interval(contrast, level) {
    const { mean, df } = contrast;
    if (!(df > 0) || mean == null) return { mean, low: NaN, high: NaN, se: NaN, df: 0 };
    const both = errors(contrast);
    const [half, error] = both.map((each) => [tQuantile(each.df, (1 + level) / 2) * each.se, each])
      .reduce((one, other) => (other[0] > one[0] ? other : one));
    return { mean, low: mean - half, high: mean + half, ...error, errors: both };
  }

  /* The first rule that matches; the list is exhaustive. */
  function kind(low, high, margin) {
    const narrow = high - low < margin;
    const rules = [
      low > margin, high < -margin, -margin < low && high < margin, narrow && high >= margin, narrow && low <= -margin,
      low > 0, high < 0, high < margin, low > -margin,
    ];
    const first = rules.indexOf(true);
    return KINDS[first < 0 ? rules.length : first];
  }

  /* The p-value against true differences of at most `bound`. */
  function pAbove(mean, se, df, bound) {
    const apart = mean - bound;
    return se > 0 ? tCdf(df, -apart / se) : apart > 0 ? 0 : 1;
  }

  /* The one-sided p of a claim's support and of its refutation: the larger of those by each standard error. */
  function claimP(expects, { mean, errors: both }, margin) {
    const each = both.map(({ se, df }) => claimPBy(expects, mean, se, df, margin));
    const largest = (name) => Math.max(...each.map((p) => p[name]));
    return { support: largest("support"), refutation: largest("refutation") };
  }

  function claimPBy(expects, mean, se, df, margin) {
    if (expects === "equivalent") {
      const beyond = pAbove(Math.abs(mean), se, df, margin) + pAbove(Math.abs(mean), se, df, -margin);
      const inside = Math.max(pAbove(mean, se, df, -margin), pAbove(-mean, se, df, -margin));
      return { support: inside, refutation: Math.min(beyond, 1) };
    }
    const bound = BOUND[expects] * margin;
    const above = pAbove(mean, se, df, bound), below = pAbove(-mean, se, df, -bound);
    return WORSE_SIDE.includes(expects)
      ? { support: above, refutation: below }
      : { support: below, refutation: above };
  }

  /* Whether a finding outlives a baseline that was not shown to equal itself, whose interval is `ruler`. */
  function standsBeyond(expects, supports, own, ruler) {
    const worse = own.low > 0 && own.low > ruler.high, better = own.high < 0 && own.high < ruler.low;
    if (expects === "equivalent") return !supports && (worse || better);
    return WORSE_SIDE.includes(expects) === supports ? worse : better;
  }

  /* SUPPORTED, REFUTED or UNDECIDED for each arm. Every support has the full level; refutations share it by Holm's
     rule. `alphas[k - 1]`: the level of one look that leaves ALPHA / k over all looks. */
  function findings(supports, refutations, alphas = null) {
    const passes = (p, share) => p <= (alphas ? alphas[share - 1] : ALPHA / share);
    const order = refutations.map((p, k) => k).sort((a, b) => refutations[a] - refutations[b]);
    const refuted = new Set();
    for (const [rank, arm] of order.entries()) {
      if (!passes(refutations[arm], order.length - rank)) break;
      refuted.add(arm);
    }
    return supports.map((p, arm) => (refuted.has(arm) ? "REFUTED" : passes(p, 1) ? "SUPPORTED" : "UNDECIDED"));
  }

  /* Refuted if any arm refutes, supported if all support, else undecided. */
  function together(found) {
    if (found.includes("REFUTED")) return "REFUTED";
    return found.every((each) => each === "SUPPORTED") ? "SUPPORTED" : "UNDECIDED";
  }

  // ---- a study -----------------------------------------------------------------------------------------------------

  function oriented(contrast, lower) {
    return lower || contrast.mean == null ? contrast : { ...contrast, mean: -contrast.mean };
  }

  function judgeContrast(study, contrast, margin, vacuous) {
    const own = interval(oriented(contrast, study.lower), contrast.expects ? study.level : 0.9);
    const stopped = contrast.stopped === "INVALID" ? "INVALID" : vacuous ? "VACUOUS" : contrast.stopped;
    const found = stopped || kind(own.low, own.high, margin);
    const detectable = found === "EQUIVALENT" && (own.low > 0 || own.high < 0); // there is a difference, too small to matter
    return { ...contrast, own, kind: found, words: found + (detectable ? ", detectable" : "") };
  }

  /* Judge a study as the pages were judged, at any margin: { contrasts, controls, sound, finding }. */
  function judgeStudy(study, margin) {
    const controls = study.controls.map((each) => judgeContrast(study, each, margin, false));
    const same = controls.find((each) => each.arm === "same");
    const harmful = controls.find((each) => each.arm === "harmful");
    const sound =
      !study.onPlateau && WORSE.includes(harmful.kind) && ![...MATERIAL, ...NOT_COMPARED].includes(same.kind);
    const contrasts = study.contrasts.map((each) => judgeContrast(study, each, margin, !sound));
    const primary = contrasts.filter((each) => each.expects);
    for (const each of primary) {
      const compared = !NOT_COMPARED.includes(each.kind);
      each.p = compared ? claimP(each.expects, each.own, margin) : { support: 1, refutation: 1 };
      if (same.kind === "EQUIVALENT") continue;
      if (!standsBeyond(each.expects, true, each.own, same.own)) each.p.support = 1;
      if (!standsBeyond(each.expects, false, each.own, same.own)) each.p.refutation = 1;
    }
    const found = findings(primary.map((each) => each.p.support), primary.map((each) => each.p.refutation), study.alphas);
    primary.forEach((each, place) => { each.finding = found[place]; });
    const judged = primary.some((each) => !NOT_COMPARED.includes(each.kind));
    return { contrasts, controls, sound, finding: judged ? together(found) : "not judged" };
  }

  return { KINDS, NOT_COMPARED, tCdf, tQuantile, interval, kind, claimP, findings, together, judgeContrast, judgeStudy };
})();
