/** Looks again and again: soon while something goes on, seldom while the page is hidden, later after errors. */

const HIDDEN_FACTOR = 10;
const FIRST_WAIT = 2000;
const LONGEST_WAIT = 60000;

/**
 * @param {() => Promise<number>} look gives the milliseconds until the next look
 * @param {(error: Error|null, waitSeconds: number) => void} tell gets each error, and null when all is well
 * @returns {() => void} looks at once
 */
export function poll(look, tell) {
  let timer, errors = 0, turn = 0;

  async function go() {
    clearTimeout(timer);
    const mine = ++turn;
    let wait;
    try {
      wait = await look();
      if (mine !== turn) return; // a later look was asked for meanwhile, and goes on by itself
      errors = 0;
      tell(null, 0);
      if (document.hidden) wait *= HIDDEN_FACTOR;
    } catch (error) {
      if (mine !== turn) return;
      wait = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** errors++);
      tell(error, wait / 1000);
    }
    timer = setTimeout(go, wait);
  }

  document.addEventListener("visibilitychange", () => document.hidden || go());
  addEventListener("online", go);
  go();
  return go;
}
