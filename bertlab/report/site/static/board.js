/* The board: search, filters and order. The list is in the page; this only hides and moves its lines. */

"use strict";

(() => {
  const board = document.getElementById("board");
  const [search, section, order, pending, shown] = ["search", "section", "order", "pending", "shown"].map((id) => document.getElementById(id));
  const lines = [...board.querySelectorAll(".line")].map((line) => {
    const question = line.closest(".question"), heading = question.querySelector("h3");
    const of = document.createElement("span");
    of.className = "of";
    of.textContent = heading.firstElementChild ? heading.firstElementChild.textContent : heading.textContent;
    const text = `${of.textContent} ${question.id} ${line.textContent}`.toLowerCase();
    return { line, of, text, home: line.parentNode, section: question.closest(".chapter").dataset.section };
  });
  const chapters = [...board.children];
  const picked = { status: new Set(), regime: new Set() };

  /* ---- filters ---- */
  function fits({ line, text, section: own }) {
    const { status, regime } = line.dataset;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    return (
      (status !== "pending" || pending.checked) &&
      (!picked.status.size || picked.status.has(status)) &&
      (!picked.regime.size || picked.regime.has(regime)) &&
      (!section.value || section.value === own) &&
      words.every((word) => text.includes(word))
    );
  }

  function filter() {
    let found = 0;
    for (const each of lines) {
      each.line.hidden = !fits(each);
      found += each.line.hidden ? 0 : 1;
    }
    // a question or a chapter without a line to show goes with them
    for (const group of board.querySelectorAll(".question")) group.hidden = !group.querySelector(".line:not([hidden])");
    for (const group of board.children) group.hidden = !group.querySelector(".line:not([hidden])");
    shown.textContent = `${found} of ${lines.length} lines`;
    document.getElementById("none").hidden = found > 0;
    keep();
  }

  /* ---- order ---- */
  function arrange() {
    for (const { line, of, home } of lines) {
      of.remove();
      home.append(line);
    }
    board.replaceChildren(...chapters);
    if (order.value !== "question") board.replaceChildren(...(order.value === "regime" ? byRegime() : [group("Surest first", sorted())]));
    filter();
  }

  const sorted = () => lines.filter(({ line }) => line.dataset.sure).sort((a, b) => a.line.dataset.sure - b.line.dataset.sure);

  function byRegime() {
    const cards = [...document.querySelectorAll(".regime")];
    const groups = cards.map((card) => {
      const name = card.dataset.regime;
      return group(`${name}: ${card.querySelector("small").textContent}`, lines.filter(({ line }) => line.dataset.regime === name));
    });
    return [...groups, group("No regime", lines.filter(({ line }) => !line.dataset.regime))];
  }

  /* A chapter of lines, each with the question that it belongs to. */
  function group(title, own) {
    const chapter = document.createElement("section"), heading = document.createElement("h2");
    const card = document.createElement("article"), list = document.createElement("ul");
    chapter.className = "chapter";
    card.className = "question";
    heading.textContent = title;
    for (const { line, of } of own) {
      line.querySelector("p").prepend(of);
      list.append(line);
    }
    card.append(list);
    chapter.append(heading, card);
    return chapter;
  }

  /* ---- what was chosen is in the address, so that a view can be kept and sent ---- */
  function keep() {
    const words = new URLSearchParams();
    for (const [name, value] of Object.entries({ q: search.value, part: section.value, order: order.value === "question" ? "" : order.value }))
      if (value) words.set(name, value);
    for (const [name, values] of Object.entries(picked)) if (values.size) words.set(name, [...values].join(","));
    if (pending.checked) words.set("pending", "1");
    history.replaceState(null, "", words.size ? `#${words}` : location.pathname + location.search);
  }

  function restore() {
    const words = new URLSearchParams(location.hash.slice(1));
    search.value = words.get("q") || "";
    section.value = words.get("part") || "";
    order.value = words.get("order") || "question";
    pending.checked = words.has("pending");
    for (const [name, values] of Object.entries(picked)) for (const value of (words.get(name) || "").split(",")) if (value) values.add(value);
  }

  for (const button of document.querySelectorAll("[data-status].tile, .regime")) {
    const [name, value] = Object.entries(button.dataset)[0];
    button.addEventListener("click", () => {
      picked[name].has(value) ? picked[name].delete(value) : picked[name].add(value);
      press();
      filter();
    });
  }
  function press() {
    for (const button of document.querySelectorAll(".tile, .regime")) {
      const [name, value] = Object.entries(button.dataset)[0];
      button.setAttribute("aria-pressed", picked[name].has(value));
    }
  }
  document.getElementById("clear").addEventListener("click", () => {
    search.value = section.value = "";
    for (const values of Object.values(picked)) values.clear();
    press();
    filter();
  });
  for (const input of [search, section, pending]) input.addEventListener("input", filter);
  order.addEventListener("input", arrange);
  if (location.hash.includes("=")) restore();
  press();
  arrange();
})();
