/* Parts of a page that only show something, drawn from one plain tree: a component of Dash costs a millisecond each.
   Tags and attributes are those of dashboard/static_tree.py; text is always text. */
(function () {
  const TAGS = new Set(["div", "span", "p", "a", "img", "code", "pre", "strong", "em", "small", "br", "h1", "h2", "h3", "h4",
    "ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "nav", "time"]);
  /* Browsers drop line breaks and tabs from an address and read a backslash as a slash: /\host is another site. */
  const HARMLESS = /^(?!.*[\x00-\x1f\\])(?:\/(?!\/)|#|https?:\/\/|mailto:|data:image\/svg\+xml,)/;

  /* An address of our own is a page of this very document: the same event as a link of Dash. */
  function go(event) {
    const link = event.currentTarget;
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) { return; }
    event.preventDefault();
    window.history.pushState({}, "", link.getAttribute("href"));
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  }

  function draw(node, key) {
    if (node === null || typeof node !== "object") { return node; }
    const [tag, given, inside] = node;
    if (!TAGS.has(tag)) { return null; }
    const attributes = Object.assign({ key: key }, given);
    for (const name of ["href", "src"]) {
      if (attributes[name] !== undefined && !HARMLESS.test(attributes[name])) { delete attributes[name]; }
    }
    if (attributes["data-page"] !== undefined) { attributes.onClick = go; }
    return React.createElement(tag, attributes, ...(inside || []).map(draw));
  }

  function link(href, text, className) {
    return draw(["a", { href: href, className: className, "data-page": "" }, [text]], undefined);
  }

  /* The navigation's link of the page that is open; "data-below" also has the addresses below its own. */
  function mark() {
    const path = window.location.pathname;
    for (const one of document.querySelectorAll(".wk-nav")) {
      const own = one.getAttribute("href");
      const here = path === own || (one.dataset.below !== undefined && path.startsWith(own + "/"));
      if (here) { one.setAttribute("aria-current", "page"); } else { one.removeAttribute("aria-current"); }
    }
  }
  for (const name of ["popstate", "_dashprivate_pushstate"]) { window.addEventListener(name, mark); }

  function Static(props) {
    React.useEffect(mark, []);
    return draw(props.tree, "root");
  }
  const same = (one, other) => JSON.stringify(one.tree) === JSON.stringify(other.tree);
  window.dashboard_static = Object.assign(window.dashboard_static || {}, { Static: React.memo(Static, same), link: link });
})();
