"use strict";
// A list of values per column of a long table; lines that do not have the chosen ones are hidden.
for (const part of document.querySelectorAll(".pf-filtered")) {
  const rows = [...part.querySelectorAll("tbody tr")];
  const heads = [...part.querySelectorAll("thead th")];
  const form = part.querySelector(".pf-filter");
  const any = form.querySelector("button");
  const said = form.querySelector("output");
  const value = (row, at) => row.cells[at].textContent;
  const chosen = [];
  const show = () => {
    const set = chosen.filter(one => one.list.value !== "");
    let shown = 0;
    for (const row of rows) {
      const keep = set.every(one => value(row, one.at) === one.values[Number(one.list.value)]);
      row.hidden = !keep;
      shown += keep;
    }
    said.textContent = `${shown.toLocaleString()} of ${rows.length.toLocaleString()} lines`;
  };
  heads.forEach((head, at) => {
    if (!("filter" in head.dataset)) return;
    const values = [...new Set(rows.map(row => value(row, at)))];
    const label = document.createElement("label");
    const list = document.createElement("select");
    label.append(head.textContent, list);
    list.append(new Option("any", ""));
    values.forEach((text, i) => list.append(new Option(text, String(i))));
    list.name = head.textContent;
    const first = values.indexOf(head.dataset.start);
    list.value = first < 0 ? "" : String(first);
    list.addEventListener("change", show);
    chosen.push({ at, values, list });
    form.insertBefore(label, any);
  });
  any.addEventListener("click", () => {
    chosen.forEach(one => { one.list.value = ""; });
    show();
  });
  form.hidden = false;
  show();
}
// What is folded is printed too.
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  opened.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => opened.forEach(one => { one.open = false; }));
