/** Airflow's page around this one. */

/** Airflow's window; null where this page stands alone. @type {Window|null} */
export const airflow = parentOfSameOrigin();

function parentOfSameOrigin() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null; // another origin's page: it has nothing to do with Airflow
  }
}

/**
 * Lets Airflow's page follow a link: its frame is sandboxed, so that this page may open no window and leave none.
 *
 * @param {MouseEvent} event of a link
 */
export function followInAirflow(event) {
  if (!airflow) return;
  event.preventDefault();
  const link = airflow.document.createElement("a");
  link.href = event.currentTarget.href;
  link.rel = "noopener noreferrer";
  const elsewhere = event.currentTarget.target === "_blank" || event.ctrlKey || event.metaKey || event.shiftKey;
  link.target = elsewhere ? "_blank" : "_self";
  link.click();
}
