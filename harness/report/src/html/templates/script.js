"use strict";
// Adds to a page that is complete without it: a crosshair with values, zooming to a phase, opened details on paper.
(() => {
  const timeline = document.querySelector(".tl");
  const scroller = document.querySelector(".tl-scroll");
  const zooms = document.getElementById("zooms");
  if (timeline && scroller && zooms) {
    const from = Number(timeline.dataset.from);
    const to = Number(timeline.dataset.to);
    const zero = Number(timeline.dataset.zero);
    const span = Math.max(to - from, 1);
    const cross = document.createElement("div");
    const tip = document.createElement("div");
    cross.className = "cross";
    tip.className = "tip";
    cross.hidden = tip.hidden = true;
    cross.setAttribute("aria-hidden", "true");
    tip.setAttribute("aria-hidden", "true");
    timeline.append(cross, tip);

    const plots = [...timeline.querySelectorAll(".plot")];
    const seconds = (ms) => "+" + (ms / 1000).toFixed(2) + "s";
    const clock = (ms) => new Date(zero + ms).toISOString().slice(11, 23) + " UTC";

    // Values of a chart at a time: the row of its table that is nearest, if any is near.
    const values = (plot, at) => {
      const chart = plot.closest(".chart");
      if (!chart) return "";
      const heads = [...chart.querySelectorAll("thead th")].slice(1).map((head) => head.textContent);
      const holds = chart.dataset.holds === "yes";
      let best = null;
      let distance = holds ? Infinity : span / 40;
      for (const row of chart.querySelectorAll("tbody tr")) {
        const after = Number(row.dataset.at) - at;
        if (holds && after > 0) break;
        if (Math.abs(after) <= distance) [best, distance] = [row, Math.abs(after)];
      }
      if (!best) return "\nno sample here";
      const cells = [...best.cells].slice(1).map((cell, index) => cell.textContent && heads[index] + ": " + cell.textContent);
      return "\n" + cells.filter(Boolean).join("\n");
    };

    const show = (plot, share, top) => {
      const at = from + share * span;
      const box = timeline.getBoundingClientRect();
      const area = plot.getBoundingClientRect();
      const x = area.left - box.left + share * area.width;
      cross.hidden = tip.hidden = false;
      cross.style.left = x + "px";
      tip.textContent = seconds(at) + "\n" + clock(at) + values(plot, at);
      const visible = scroller.scrollLeft + scroller.clientWidth;
      const right = x + 12 + tip.offsetWidth > visible;
      tip.style.left = Math.max(scroller.scrollLeft, right ? x - 12 - tip.offsetWidth : x + 12) + "px";
      tip.style.top = Math.min(Math.max(top - box.top + 14, 0), Math.max(timeline.offsetHeight - tip.offsetHeight, 0)) + "px";
    };
    const hide = () => { cross.hidden = tip.hidden = true; };

    let share = 0;
    timeline.addEventListener("pointermove", (event) => {
      const plot = event.target instanceof Element && event.target.closest(".plot");
      if (!plot) return hide();
      const area = plot.getBoundingClientRect();
      share = Math.min(Math.max((event.clientX - area.left) / Math.max(area.width, 1), 0), 1);
      show(plot, share, event.clientY);
    });
    timeline.addEventListener("pointerleave", hide);
    // Keys move the crosshair through the first chart; the tables have everything it says.
    scroller.addEventListener("keydown", (event) => {
      if (event.target !== scroller) return;
      if (event.key === "Escape") return hide();
      const step = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
      const plot = timeline.querySelector(".chart .plot") || plots[0];
      if (!step || !plot) return;
      event.preventDefault();
      share = Math.min(Math.max(share + step, 0), 1);
      show(plot, share, plot.getBoundingClientRect().top);
    });

    const zoom = (button) => {
      const [begin, end] = [Number(button.dataset.from), Number(button.dataset.to)];
      const factor = Math.min(Math.max(span / Math.max(end - begin, 1), 1), 60);
      hide();
      timeline.style.width = "";
      const plot = plots[0].getBoundingClientRect().width;
      const rest = timeline.getBoundingClientRect().width - plot;
      if (factor > 1.01) timeline.style.width = rest + plot * factor + "px";
      scroller.scrollLeft = ((begin - from) / span) * plot * factor;
      for (const other of zooms.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
    };
    zooms.addEventListener("click", (event) => {
      const button = event.target instanceof Element && event.target.closest("button");
      if (button) zoom(button);
    });
    zooms.hidden = false;
  }

  const opened = [];
  addEventListener("beforeprint", () => {
    for (const one of document.querySelectorAll("details:not([open]):not(.values):not(.alt)")) {
      one.open = true;
      opened.push(one);
    }
  });
  addEventListener("afterprint", () => { for (const one of opened.splice(0)) one.open = false; });

  // An anchor inside of closed details is shown.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let one = target; one; one = one.parentElement) if (one instanceof HTMLDetailsElement) one.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
})();
