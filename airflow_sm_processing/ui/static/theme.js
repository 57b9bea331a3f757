/** Follows Airflow's light or dark theme, or the system's if this page isn't in a frame. */

import { airflow } from "./frame.js";

const system = matchMedia("(prefers-color-scheme: dark)");

function wanted() {
  const root = airflow?.document.documentElement;
  const said = root ? [...root.classList, root.dataset.theme].find((name) => name === "dark" || name === "light") : null;
  return said ?? (system.matches ? "dark" : "light");
}

function follow() {
  document.documentElement.dataset.theme = wanted();
}

follow();
system.addEventListener("change", follow);
if (airflow) {
  const observer = new MutationObserver(follow);
  observer.observe(airflow.document.documentElement, { attributeFilter: ["class", "data-theme"] });
  addEventListener("pagehide", () => observer.disconnect());
}
