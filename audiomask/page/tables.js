/** A table, which scrolls by itself where it is wider than the page. */
function buildTable(about) {
  const cell = (content, tag) => {
    const [text, address] = Array.isArray(content) ? content : [content, ""];
    return make(tag, tag === "th" ? { scope: "row" } : {}, address ? make("a", { href: address }, text) : text);
  };
  const head = make("tr", {}, ...about.headings.map((heading) => make("th", { scope: "col" }, heading)));
  const rows = about.rows.map((row) =>
    make("tr", {}, ...row.map((content, place) => cell(content, place ? "td" : "th"))));
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
