// Assigns every dashboard, and every panel of it, to Grafana's types and lets the TypeScript compiler judge.
// Usage: node check.mjs [FILE...], default: all dashboards.

import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dashboards = resolve(here, "..");
const generated = join(here, "generated");

const typeOf = {
  bargauge: "BarGauge",
  gauge: "Gauge",
  heatmap: "Heatmap",
  row: "Row",
  stat: "Stat",
  "state-timeline": "StateTimeline",
  table: "Table",
  timeseries: "TimeSeries",
};

const given = process.argv.slice(2).map((file) => resolve(file));
const all = readdirSync(dashboards).filter((file) => file.endsWith(".json"));
const files = given.length > 0 ? given : all.map((file) => join(dashboards, file));
if (files.length === 0) {
  console.error(`no dashboard in ${dashboards}`);
  process.exit(2);
}

rmSync(generated, { recursive: true, force: true });
mkdirSync(generated);
let failed = 0;
const sources = new Map();
for (const file of files) {
  const dashboard = JSON.parse(readFileSync(file, "utf8"));
  const lines = ['import type * as g from "../types";'];
  const places = ["the import"];
  const add = (place, type, value) => {
    lines.push(`export const c${lines.length}: ${type} = ${JSON.stringify(value)};`);
    places.push(place);
  };
  // The panels first: an error in one says more where its kind is known.
  for (const panel of dashboard.panels ?? []) {
    for (const one of [panel, ...(panel.panels ?? [])]) {
      const place = `panel "${one.title}" (id ${one.id})`;
      if (typeOf[one.type] === undefined) {
        console.error(`${basename(file)}: ${place}: type "${one.type}" is not checked; add it to dashboards/check`);
        failed += 1;
      } else {
        add(place, `g.${typeOf[one.type]}`, one);
      }
    }
  }
  add("the dashboard", "g.DashboardJson", { ...dashboard, panels: [] });
  const source = join(generated, `${basename(file, ".json")}.ts`);
  writeFileSync(source, lines.join("\n") + "\n");
  sources.set(basename(source), { file: basename(file), places });
}

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const run = spawnSync(process.execPath, [tsc, "--project", here, "--pretty", "false"], { encoding: "utf8", cwd: here });
if (run.error) throw run.error;
for (const line of run.stdout.split("\n").filter((line) => line !== "")) {
  const at = /^generated\/(.+\.ts)\((\d+),\d+\): (.*)$/.exec(line);
  const source = at && sources.get(at[1]);
  if (source) failed += 1;
  // Lines that go on are indented and belong to the one above.
  console.error(source ? `${source.file}: ${source.places[Number(at[2]) - 1]}: ${at[3]}` : line);
}
rmSync(generated, { recursive: true, force: true });
if (run.status !== 0 || failed > 0) {
  console.error(`${failed} problems in ${files.length} dashboards`);
  process.exit(1);
}
console.log(`${files.length} dashboards are of Grafana's types`);
