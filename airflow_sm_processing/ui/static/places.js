/** The job's inputs and outputs, with their locations and sizes. */

import { breakable, copyable } from "./copy.js";
import { el } from "./dom.js";
import { count, size } from "./format.js";
import { outside } from "./links.js";

/** @param {{inputs: object[], outputs: object[], ended: boolean}|null} shown */
export function places(shown) {
  return shown ? [list("Inputs", shown.inputs, shown.ended), list("Outputs", shown.outputs, shown.ended)] : [];
}

function list(title, items, ended) {
  if (!items.length) return null;
  const heads = ["Name", "S3 URI", "Container path", "Size"].map((text) => el("th", { scope: "col" }, text));
  const rows = items.map((item) => row(item, ended));
  const table = el("table", { class: "cards" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
  return el("div", { class: "box" }, el("h2", {}, title), table);
}

function row(item, ended) {
  const uri = item.uri === null ? "–" : copyable(outside(breakable(item.uri), item.link), item.uri, `the URI of ${item.name}`);
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, el("bdi", {}, item.name ?? "–")),
    el("td", { "data-label": "S3 URI", class: "path" }, uri),
    el("td", { "data-label": "Container path", class: "path" }, ...breakable(item.container_path ?? "–")),
    el("td", { "data-label": "Size", class: "number" }, sizeOf(item, ended)),
  );
}

function sizeOf({ bytes, objects, complete }, ended) {
  if (bytes === null || objects === null) return ended ? "not measured" : "available when the job ends";
  const least = complete ? "" : "more than ";
  return `${least}${size(bytes)} in ${count(objects)} ${objects === 1 ? "object" : "objects"}`;
}
