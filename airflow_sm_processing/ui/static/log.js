/** The last lines of the log, as recorded when the job ended. */

import { el } from "./dom.js";
import { inside } from "./links.js";
import { isTerminal } from "./status.js";

/** @param {{job: object, tail: object[]|undefined, logsUrl: string}|null} shown */
export function log(shown) {
  if (!shown) return [];
  const { job, tail, logsUrl } = shown;
  const live = el("p", { class: "muted" }, "The live log is in ", inside("Airflow's Logs tab", logsUrl), ".");
  const title = el("h2", {}, "Last log lines");
  if (!tail?.length) return isTerminal(job.status) ? [] : [el("div", { class: "box" }, title, live)];
  return [el("div", { class: "box" }, title, ...tail.flatMap(host))];
}

function host({ host: name, lines }) {
  const text = lines.length ? lines.join("\n") : "(no lines)";
  return [el("h3", {}, el("bdi", {}, name ?? "")), el("pre", { tabindex: "0", "aria-label": `Log of ${name}` }, text)];
}
