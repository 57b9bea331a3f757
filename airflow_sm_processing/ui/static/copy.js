/** Copies text to the clipboard, and shows names and addresses with a button for it. */

import { el } from "./dom.js";

const CONFIRMATION = 2000; // milliseconds

/**
 * Copies a text, and says so on the button.
 *
 * @param {HTMLButtonElement} button
 * @param {string} text
 * @param {HTMLElement} shown the element with the text, which is selected where the clipboard can't be used
 */
export async function copyTo(button, text, shown) {
  const label = button.dataset.label ?? button.textContent;
  button.dataset.label = label;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(shown); // browsers allow clipboard access over HTTPS only; Ctrl+C still works
    button.textContent = "Selected: press Ctrl+C";
  }
  setTimeout(() => { button.textContent = label; }, CONFIRMATION);
}

/**
 * A text with a copy button.
 *
 * @param {HTMLElement} shown the text, perhaps as a link
 * @param {string} text
 * @param {string} what it is, for screen readers
 */
export function copyable(shown, text, what) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${what}`, on: { click: () => copyTo(button, text, shown) } }, "Copy");
  return el("span", { class: "copyable" }, shown, " ", button);
}

/**
 * A name, an ARN, a URI or a path, which is broken into lines after its separators, not in a word.
 *
 * @param {string} text @returns {(Node|string)[]}
 */
export function breakable(text) {
  const pieces = text.split(/(?<=[/:_-])(?![/:_-])/);
  return pieces.flatMap((piece, index) => (index ? [el("wbr"), piece] : [piece]));
}
