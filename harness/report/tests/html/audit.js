// The body of a function: complaints about the page that is open, as texts.
const complaints = [];
const complain = (what, element) =>
  complaints.push(what + (element ? ": " + element.outerHTML.slice(0, 160) : ""));

// Nothing sticks out at the side.
const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) {
  complain("the page scrolls sideways: " + document.documentElement.scrollWidth + " > " + width);
  for (const element of document.querySelectorAll("main *")) {
    const clipped = element.closest(".scroll, .tl-scroll, pre, .lines, svg");
    if (!clipped && element.getBoundingClientRect().right > width + 1) complain("sticks out", element);
  }
}

// Headings in order, one of them the first.
let last = 0;
for (const heading of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
  const level = Number(heading.tagName[1]);
  if (level > last + 1) complain("a level of headings is left out", heading);
  if (!heading.textContent.trim()) complain("an empty heading", heading);
  last = level;
}
if (document.querySelectorAll("h1").length !== 1) complain("not one h1");
for (const landmark of ["main", "header", "footer", "nav"])
  if (document.querySelectorAll(landmark).length !== 1) complain("not one " + landmark);
if (!document.documentElement.lang || !document.title) complain("no language or no title");

// Names for everything that has a role, ids that are there, tables with heads.
const name = (element) =>
  element.getAttribute("aria-label") ||
  (element.getAttribute("aria-labelledby") || "").split(/\s+/).map((id) => document.getElementById(id)?.textContent || "").join(" ").trim() ||
  element.textContent.trim();
for (const element of document.querySelectorAll("a, button, summary, section, article, nav, figure, [role], [tabindex='0']"))
  if (!name(element)) complain("has no name", element);
for (const element of document.querySelectorAll("section, article"))
  if (!element.hasAttribute("aria-labelledby")) complain("is not labelled", element);
for (const link of document.querySelectorAll("a[href]"))
  if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) complain("leads nowhere", link);
for (const table of document.querySelectorAll("table")) {
  if (!table.caption) complain("has no caption", table);
  for (const head of table.querySelectorAll("th")) if (!head.scope) complain("has no scope", head);
  for (const row of table.tBodies[0].rows)
    if (row.cells.length !== table.tHead.rows[0].cells.length) complain("cells without a head", row);
}
for (const chart of document.querySelectorAll(".chart"))
  if (!chart.querySelector("table tbody tr")) complain("a chart without a table", chart);
// What scrolls can be reached with keys.
for (const element of document.querySelectorAll(".scroll, .tl-scroll, pre, .lines"))
  if (element.tabIndex < 0) complain("scrolls, but not with keys", element);
if (document.querySelector("body > a").getAttribute("href") !== "#verdict") complain("no skip link first");

// Contrast of all text, by WCAG's formula.
const parse = (color) => {
  const numbers = (color.match(/[\d.]+/g) || []).map(Number);
  return { rgb: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
};
const luminance = (rgb) => {
  const [r, g, b] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const ground = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const color = parse(getComputedStyle(one).backgroundColor);
    if (color.alpha === 1) return color.rgb;
  }
  return [255, 255, 255];
};
const seen = new Set();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement;
  if (!node.textContent.trim() || ["SCRIPT", "STYLE", "title", "desc"].includes(element.tagName)) continue;
  const style = getComputedStyle(element);
  if (style.visibility === "hidden" || style.display === "none") continue;
  let [ink, paper] = [parse(style.color).rgb, null];
  if (element.tagName === "text") {
    // On bars and bands, as if all of them lay under it.
    ink = parse(style.fill).rgb;
    paper = ground(element.closest(".plot, .leg, .meter") || element);
    for (const under of element.parentElement.querySelectorAll(":scope > rect")) {
      const { fill, fillOpacity } = getComputedStyle(under);
      if (!fill.startsWith("rgb")) continue;
      const share = Number(fillOpacity);
      paper = parse(fill).rgb.map((value, index) => value * share + paper[index] * (1 - share));
    }
  } else paper = ground(element);
  const key = ink + "/" + paper;
  if (seen.has(key)) continue;
  seen.add(key);
  const ratio = contrast(ink, paper);
  if (ratio < 4.5) complain("contrast " + ratio.toFixed(2) + " of " + ink + " on " + paper, element);
}
return complaints;
