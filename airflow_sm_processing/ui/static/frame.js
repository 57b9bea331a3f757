/** Airflow's page, which frames this one. */

/** Airflow's window, or null if this page isn't in a frame. @type {Window|null} */
export const airflow = parentOfSameOrigin();

function parentOfSameOrigin() {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null; // a page of another origin, so it isn't Airflow's
  }
}

/**
 * Follows a link in Airflow's page, as the sandboxed frame may not open windows or navigate away.
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
