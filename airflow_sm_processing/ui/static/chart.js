/** Two charts: jobs over time by status, and instance-seconds by DAG. */

import { breakable } from "./copy.js";
import { el, svg } from "./dom.js";
import { count, day, wholeSeconds } from "./format.js";

const KINDS = { completed: "completed", failed: "failed", stopped: "stopped", running: "in progress", unknown: "unknown" };
const WIDTH = 600, HEIGHT = 120; // SVG units: the drawing is scaled to the width of its container
const MOST_DAGS = 8;
const DAY = 86400; // seconds

/** @param {object} sums */
export function charts(sums) {
  if (!sums.jobs) return [];
  return [figure("Jobs over time", overTime(sums), legend(sums)), figure("Instance-seconds by DAG", byDag(sums.by_dag))];
}

function figure(title, ...content) {
  return el("figure", { class: "box" }, el("figcaption", {}, title), ...content);
}

function overTime({ buckets, bucket_seconds: seconds }) {
  const { most, ticks } = scale(Math.max(1, ...buckets.map((bucket) => bucket.jobs)));
  const step = WIDTH / buckets.length;
  const bars = buckets.map((bucket, index) => stack(bucket, { left: index * step, width: step, most, seconds }));
  const lines = ticks.map((tick) => HEIGHT - (tick * HEIGHT) / most).map((y) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }));
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", class: "bars", role: "img", "aria-label": inWords(buckets, seconds) }, ...lines, ...bars);
  const [first, last] = [buckets[0], buckets[buckets.length - 1]].map((bucket) => named(bucket.start, seconds));
  const ends = el("div", { class: "axis" }, el("span", {}, first), buckets.length > 1 ? el("span", {}, last) : null);
  const labels = el("div", { class: "scale", "aria-hidden": "true" }, ...[...ticks].reverse().map((tick) => el("span", {}, count(tick))));
  return el("div", { class: "plot" }, el("span", { class: "axis" }, "Jobs"), labels, drawing, ends);
}

/** Round numbers from 0 to at least the largest, at most six, whole as jobs are. */
function scale(largest) {
  const power = 10 ** Math.floor(Math.log10(largest / 5 || 1));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((size) => size * 5 >= largest));
  const ticks = Array.from({ length: Math.ceil(largest / step) + 1 }, (_, index) => index * step);
  return { most: ticks[ticks.length - 1], ticks };
}

function stack(bucket, { left, width, most, seconds }) {
  const unit = HEIGHT / most;
  const gap = Math.min(2, width / 5);
  let top = HEIGHT;
  const parts = Object.keys(KINDS).filter((kind) => bucket[kind]).map((kind) => {
    const height = bucket[kind] * unit;
    top -= height;
    return svg("rect", { class: kind, x: left + gap / 2, y: top, width: Math.min(width - gap, 48), height });
  });
  return svg("g", {}, svg("title", {}, `${named(bucket.start, seconds)}: ${counted(bucket)}`), ...parts);
}

function named(iso, seconds) {
  const moment = new Date(iso);
  return seconds < DAY ? `${day(moment)} ${String(moment.getHours()).padStart(2, "0")}:00` : day(moment);
}

function counted(sums) {
  const parts = Object.entries(KINDS).filter(([kind]) => sums[kind]);
  return parts.map(([kind, words]) => `${count(sums[kind])} ${words}`).join(", ") || "no jobs";
}

function inWords(buckets, seconds) {
  const busy = buckets.filter((bucket) => bucket.jobs);
  return `Jobs over time. ${busy.map((bucket) => `${named(bucket.start, seconds)}: ${counted(bucket)}`).join("; ")}.`;
}

function legend(sums) {
  const items = Object.entries(KINDS).filter(([kind]) => sums[kind]);
  return el("ul", { class: "legend" }, ...items.map(([kind, words]) => el("li", { class: kind }, `${words} ${count(sums[kind])}`)));
}

function byDag(dags) {
  const most = Math.max(1, ...dags.map((dag) => dag.instance_seconds));
  const rows = dags.slice(0, MOST_DAGS).map((dag) => dagRow(dag, most));
  const rest = dags.length > MOST_DAGS ? el("p", { class: "muted" }, `and ${count(dags.length - MOST_DAGS)} more DAGs`) : null;
  const heads = ["DAG", "Share", "Instance-seconds", "Jobs"].map((text) => el("th", { scope: "col", class: text === "Share" ? "drawn" : null }, text));
  return el("div", {}, el("table", { class: "dags" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)), rest);
}

function dagRow(dag, most) {
  const share = svg("rect", { x: 0, y: 0, width: Math.max(0.5, (100 * dag.instance_seconds) / most), height: 10 });
  const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "share", "aria-hidden": "true" }, share);
  const failed = dag.failed ? el("span", { class: "failed" }, `, ${count(dag.failed)} failed`) : null;
  return el(
    "tr",
    {},
    el("th", { scope: "row", class: "name", title: dag.dag_id }, el("bdi", {}, ...breakable(dag.dag_id))),
    el("td", { class: "drawn" }, bar),
    el("td", { class: "number" }, wholeSeconds(dag.instance_seconds)),
    el("td", { class: "number" }, count(dag.jobs), failed),
  );
}
