/** Polls the API, more slowly while the page is hidden, and with exponential backoff after errors. */

const HIDDEN_FACTOR = 10;
const FIRST_WAIT = 2000;
const LONGEST_WAIT = 60000;

/**
 * @param {() => Promise<number>} request returns the milliseconds until the next request
 * @param {(error: Error|null, waitSeconds: number) => void} report gets each error, and null after a success
 * @returns {() => void} sends a request at once
 */
export function poll(request, report) {
  let timer, errors = 0, turn = 0;

  async function go() {
    clearTimeout(timer);
    const mine = ++turn;
    let wait;
    try {
      wait = await request();
      if (mine !== turn) return; // a newer request has been sent, and schedules the next one
      errors = 0;
      report(null, 0);
      if (document.hidden) wait *= HIDDEN_FACTOR;
    } catch (error) {
      if (mine !== turn) return;
      wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** errors++);
      report(error, wait / 1000);
    }
    timer = setTimeout(go, wait);
  }

  document.addEventListener("visibilitychange", () => document.hidden || go());
  addEventListener("online", go);
  go();
  return go;
}
