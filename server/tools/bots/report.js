// Tells the values at the place of a plot that is pointed at. Without it the page lacks nothing else.
"use strict";
for (const svg of document.querySelectorAll("svg[data-plot]")) {
  const { lines, places } = JSON.parse(svg.dataset.plot);
  const cursor = document.createElementNS(svg.namespaceURI, "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y2", "100%");
  const told = document.createElement("div");
  told.className = "told";
  const row = (words, value, tone) => {
    const line = document.createElement("div");
    line.className = tone === undefined ? "at" : `tone-${tone}`;
    line.append(words, ...(value === undefined ? [] : [Object.assign(document.createElement("b"), { textContent: value })]));
    return line;
  };

  const point = (event) => {
    const area = svg.getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    const distance = (place) => Math.abs(place[0] - share);
    const [at, name, ...values] = places.reduce((near, place) => (distance(place) < distance(near) ? place : near));
    cursor.setAttribute("x1", `${at * 100}%`);
    cursor.setAttribute("x2", `${at * 100}%`);
    svg.append(cursor);
    told.replaceChildren(
      row(name),
      ...lines.flatMap(([line, tone], place) => (values[place] === null ? [] : [row(line, values[place], tone)])),
    );
    svg.after(told);
    const room = svg.parentElement.getBoundingClientRect();
    const left = area.left - room.left + at * area.width;
    const isRight = left + told.offsetWidth + 16 > room.width;
    told.style.left = `${Math.max(0, isRight ? left - told.offsetWidth - 12 : left + 12)}px`;
    told.style.top = `${area.top - room.top + 8}px`;
  };
  const leave = () => {
    cursor.remove();
    told.remove();
  };
  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", leave);
}
