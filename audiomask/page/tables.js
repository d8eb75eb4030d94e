/** A table, which scrolls by itself where it is wider than the page. */
function buildTable(about) {
  // numbers stand below each other by their last digit, words by their first letter
  const numbers = about.headings.map((_, column) => column > 0
    && about.rows.every((row) => /^([-−+]?\d|[–∞]?$)/.test(row[column])));
  const cell = (content, column) => {
    const [text, address] = Array.isArray(content) ? content : [content, ""];
    return make(column ? "td" : "th", column ? { className: numbers[column] ? "number" : "" } : { scope: "row" },
      address ? make("a", { href: address }, text) : text);
  };
  const head = make("tr", {}, ...about.headings.map((heading, column) =>
    make("th", { scope: "col", className: numbers[column] ? "number" : "" }, heading)));
  const rows = about.rows.map((row) => make("tr", {}, ...row.map(cell)));
  // with the focus it is scrolled by arrows
  const wide = make("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": about.title },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  if (about.folded) {
    return make("details", { className: "card" }, make("summary", {}, about.title), wide);
  }
  return make("section", { className: "card" }, make("h2", {}, about.title), wide);
}

function buildPicture(about) {
  return make("figure", { className: "card" }, make("figcaption", {}, about.title),
    make("a", { href: about.address }, make("img", { src: about.address, alt: about.title })));
}
