/* A long list: every row is here, so that searching, sorting and turning pages ask nobody. Drawn by React as any other
   part, with the columns, rows and texts that dashboard/list_view.py sends; what was typed and chosen stays when rows change. */
(function () {
  const h = React.createElement;

  function key(row, field) {
    const sort = row[field + "_sort"];
    const value = sort === undefined ? row[field] : sort;
    return value === null || value === undefined ? "" : value;
  }

  function compare(one, other) {
    if (one === "" || other === "") { return one === other ? 0 : one === "" ? 1 : -1; }
    return typeof one === "number" && typeof other === "number" ? one - other
      : String(one).localeCompare(String(other), document.documentElement.lang || undefined, { numeric: true });
  }

  function arranged(rows, columns, wanted, order) {
    const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
    const found = rows.filter((row) => {
      const text = columns.map((column) => String(row[column.field] ?? "")).join("\n").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (!order) { return found; }
    const down = order.down ? -1 : 1;
    return found.slice().sort((one, other) => down * compare(key(one, order.field), key(other, order.field)));
  }

  function cell(column, row) {
    const value = row[column.field];
    const text = value === null || value === undefined ? "" : String(value);
    if (column.tag && text) {
      return h("span", { className: column.tag + " " + column.tag + "-" + String(row[column.field + "_key"] || "unknown") }, text);
    }
    return column.link && row.href ? window.dashboard_static.link(row.href, text, "wk-strong") : text;
  }

  function head(column, order, choose) {
    const mine = order && order.field === column.field;
    return h("th", { key: column.field, className: column.right ? "wk-right" : undefined, "aria-sort": mine ? (order.down ? "descending" : "ascending") : "none" },
      h("button", { type: "button", className: "wk-sort", onClick: () => choose(mine ? { field: column.field, down: !order.down } : { field: column.field, down: false }) },
        column.name, mine ? (order.down ? " ↓" : " ↑") : ""));
  }

  function turn(texts, at, pages, total, size, go) {
    if (pages < 2) { return null; }
    const shown = texts.shown.replace("{first}", at * size + 1).replace("{last}", Math.min((at + 1) * size, total)).replace("{total}", total);
    const button = (name, to) => h("button", { type: "button", className: "wk-link-button", disabled: to < 0 || to >= pages, onClick: () => go(to) }, name);
    return h("div", { className: "wk-row wk-turn" }, h("span", { className: "wk-quiet" }, shown), button(texts.back, at - 1), button(texts.on, at + 1));
  }

  function ListView(props) {
    const [wanted, want] = React.useState("");
    const [order, choose] = React.useState(null);
    const [page, go] = React.useState(0);
    const rows = props.rowData || [];
    const found = React.useMemo(() => arranged(rows, props.columns, wanted, order), [rows, props.columns, wanted, order]);
    const pages = Math.max(1, Math.ceil(found.length / props.page));
    const at = Math.min(page, pages - 1);
    if (!rows.length) { return null; }
    return h("div", { className: "wk-card wk-list", id: props.id },
      h("input", { type: "search", className: "wk-search", value: wanted, placeholder: props.texts.search, "aria-label": props.texts.search,
        onChange: (event) => { want(event.target.value); go(0); } }),
      h("div", { className: "wk-sideways" }, h("table", { className: "wk-table" },
        h("thead", null, h("tr", null, props.columns.map((column) => head(column, order, choose)))),
        h("tbody", null, found.slice(at * props.page, (at + 1) * props.page).map((row, index) =>
          h("tr", { key: row.id === undefined ? index : row.id }, props.columns.map((column) =>
            h("td", { key: column.field, className: column.right ? "wk-right" : undefined }, cell(column, row)))))))),
      found.length ? turn(props.texts, at, pages, found.length, props.page, go) : h("div", { className: "wk-quiet" }, props.texts.nothing));
  }
  window.dashboard_static = Object.assign(window.dashboard_static || {}, { ListView: ListView });
})();
