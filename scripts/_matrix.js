"use strict";
const by = id => document.getElementById(id), data = JSON.parse(by("data").textContent), words = JSON.parse(by("words").textContent);
const dialog = document.querySelector(".parity dialog"), tables = [...document.querySelectorAll("table.matrix")];
const verdict = c => !c || !(c[0] + c[1] + c[2]) ? "none" : c[1] ? "bad" : c[2] ? "gap" : "good";
const number = n => n.toLocaleString("en");
const shown = c => verdict(c) === "none" ? "·" : number(c[0]) + (c[1] ? `, ${number(c[1])} fail` : "") + (c[2] ? `, ${number(c[2])} known` : "");
const sum = (cells, check, dtype) => Object.entries(cells).filter(([d, checks]) => (!dtype || d === dtype) && checks[check])
  .reduce((all, [, checks]) => (all || [0, 0, 0, 0]).map((n, i) => n + checks[check][i]), null);
const make = (tag, text, kind) => { const node = document.createElement(tag); node.textContent = text ?? ""; if (kind) node.className = kind; return node; };

/* The columns are checks, or, of one check, the types. */
for (const table of tables) table.checks = [...table.tHead.rows[0].cells].slice(1).map(head => head.textContent);

function heads(table, columns) {
  const row = table.tHead.rows[0];
  if (table.columns === columns.join()) return;
  table.columns = columns.join();
  while (row.cells.length > 1) row.lastElementChild.remove();
  for (const column of columns) {
    const head = make("th"), button = make("button", column);
    button.type = "button"; head.scope = "col"; head.title = words.descriptions[column] || column;
    head.append(button); row.append(head);
  }
  [...row.cells].forEach((head, i) => { head.removeAttribute("aria-sort"); head.firstElementChild.onclick = () => sort(table, i); });
}

function update() {
  const name = by("name").value.toLowerCase(), dtype = by("dtype").value, check = by("check").value, state = by("state").value;
  let count = 0;
  for (const table of tables) {
    const here = check && table.checks.includes(check);
    const columns = here ? (dtype ? [dtype] : words.dtypes) : check ? [] : table.checks;
    let visible = 0;
    heads(table, columns);
    for (const row of table.tBodies[0].rows) {
      const cells = data[row.dataset.key].cells, states = new Set();
      while (row.cells.length > columns.length + 1) row.lastElementChild.remove();
      while (row.cells.length < columns.length + 1) row.append(make("td"));
      columns.forEach((column, i) => {
        const counts = here ? cells[column]?.[check] : sum(cells, column, dtype), cell = row.cells[i + 1];
        cell.className = verdict(counts); cell.textContent = shown(counts); states.add(cell.className);
      });
      row.hidden = !row.dataset.key.toLowerCase().includes(name) || (state && !states.has(state)) || (dtype && !cells[dtype]) || (check && !here);
      visible += !row.hidden;
    }
    const region = table.parentElement;
    region.hidden = region.previousElementSibling.hidden = !visible;
    count += visible;
  }
  by("count").textContent = `${number(count)} rows`;
}

function sort(table, column) {
  const heads = [...table.tHead.rows[0].cells], turn = heads[column].ariaSort === "ascending" ? -1 : 1;
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].ariaSort = turn > 0 ? "ascending" : "descending";
  const value = row => { const text = row.cells[column].textContent, n = parseFloat(text.replaceAll(",", "")); return column ? (isNaN(n) ? -1 : n) : text; };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) * turn));
}

function bars(errors) {
  const box = make("div", "", "bars"), bounds = words.bounds;
  for (const side of ["mini_dl", "torch"]) {
    const counts = errors[side].counts, all = counts.reduce((a, b) => a + b, 0);
    box.append(make("b", side));
    counts.forEach((n, i) => {
      if (!n) return;
      const bar = make("i"); bar.style.width = `${100 * n / all}%`;
      const label = i === 0 ? "exact" : i < bounds.length ? `up to ${bounds[i]}` : `beyond ${bounds[bounds.length - 1]}`;
      box.append(make("span", label), bar, make("span", number(n)));
    });
  }
  return box;
}

/* What stands behind a name; a page may have more or less of it. */
function detail() {
  const key = decodeURIComponent(location.hash.slice(1)), found = data[key];
  if (!found) { if (dialog.open) dialog.close(); return; }
  const close = make("button", "close"); close.type = "button"; close.onclick = () => dialog.close(); close.autofocus = true;
  const title = make("h3", key.slice(key.indexOf("/") + 1)); title.id = "title";
  const table = make("table"), head = table.createTHead().insertRow(), body = table.createTBody();
  const ran = new Set(Object.values(found.cells).flatMap(Object.keys)), checks = words.checks.filter(check => ran.has(check));
  for (const text of ["type", ...checks]) head.append(make("th", text));
  for (const [dtype, cells] of Object.entries(found.cells)) {
    const row = body.insertRow(), name = make("th", dtype); name.scope = "row"; row.append(name);
    for (const check of checks) row.append(make("td", shown(cells[check]), verdict(cells[check])));
  }
  const wide = make("div", "", "wide"); wide.tabIndex = 0; wide.append(table);
  dialog.replaceChildren(close, title, wide);
  if (found.link) { const link = make("a", "Its entry in the reference"), line = make("p"); link.href = found.link; line.append(link); dialog.append(line); }
  dialog.append(make("p", "To run it again:"), make("pre", found.again));
  const size = x => x >= 1e300 ? "not finite" : x.toLocaleString("en", { maximumSignificantDigits: 3 });
  for (const [dtype, errors] of Object.entries(found.errors || {})) {
    dialog.append(make("p", `Errors of ${dtype} results in units in the last place, against ${dtype === "float64" ? "mpmath" : "float64"}: at worst ${size(errors.mini_dl.worst)} in mini_dl, ${size(errors.torch.worst)} in torch.` + (errors.ratio ? ` Time as a ratio to torch's, by a few calls: ${errors.ratio}.` : "")));
    dialog.append(bars(errors));
  }
  for (const gap of found.gaps || []) {
    dialog.append(make("p", `${gap.dtype}, ${gap.check}: ${number(gap.number)} known. ${gap.reason}.`, "gap"));
    dialog.append(make("pre", `${found.again} --dtype ${gap.dtype} --check ${gap.check}`));
  }
  for (const text of found.texts || []) dialog.append(make("p", text.where, "soft"), make("pre", text.text));
  if (!dialog.open) dialog.showModal();
}

for (const id of ["name", "dtype", "check", "state"]) by(id).addEventListener("input", update);
dialog.addEventListener("close", () => { if (location.hash.includes("/")) history.replaceState(null, "", location.pathname + location.search); });
addEventListener("hashchange", detail);
update(); detail();
