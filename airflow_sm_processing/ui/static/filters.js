/** The filter form above the jobs. */

import { el } from "./dom.js";
import { STATUSES } from "./status.js";

const DEBOUNCE = 300; // milliseconds after the last key
const NAMES = ["dag_id", "task_id", "name", "period", "since", "until"];

/**
 * @param {HTMLFormElement} form
 * @param {(changes: object, how?: {push: boolean}) => void} go
 * @returns {(state: object) => void} fills the form with a state
 */
export function bindFilters(form, go) {
  const boxes = Object.entries(STATUSES).map(([status, { label }]) => box(status, label));
  form.querySelector("#statuses").append(...boxes);
  let timer;
  const apply = () => {
    clearTimeout(timer);
    showCustom(form);
    go(valuesOf(form));
  };
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, DEBOUNCE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  form.addEventListener("reset", () => setTimeout(apply)); // the browser clears the values after this event
  return (state) => fill(form, state);
}

function box(status, label) {
  return el("label", { class: "check" }, el("input", { type: "checkbox", name: "status", value: status }), ` ${label}`);
}

function valuesOf(form) {
  const data = new FormData(form);
  return { statuses: data.getAll("status"), ...Object.fromEntries(NAMES.map((name) => [name, String(data.get(name) ?? "").trim()])) };
}

function fill(form, state) {
  for (const name of NAMES) form.elements[name].value = state[name];
  for (const input of form.querySelectorAll("[name=status]")) input.checked = state.statuses.includes(input.value);
  showCustom(form);
}

function showCustom(form) {
  const custom = form.elements.period.value === "custom";
  for (const label of form.querySelectorAll(".custom")) label.hidden = !custom;
}
