/** Creates elements. Text is always inserted as text: records may be forged, so their markup is never parsed. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag
 * @param {Object<string, any>} [attributes] `class`, `on` ({event: listener}), or any attribute; null and false are omitted
 * @param {...(Node|string|number|null|undefined)} children
 * @returns {HTMLElement}
 */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. @returns {SVGElement} */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
  element.append(...children.filter((child) => child !== null && child !== undefined).map(asNode));
  return element;
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

/**
 * Returns a function that renders part of the page, only if its value has changed: selection and scrolling are kept.
 *
 * @param {HTMLElement} host
 * @param {(value: any) => (Node|null)[]} draw
 * @returns {(value: any) => boolean} returns whether the value has changed
 */
export function region(host, draw) {
  let shown;
  return (value) => {
    const key = JSON.stringify(value);
    if (key === shown) return false;
    shown = key;
    const focused = host.contains(document.activeElement) ? document.activeElement.textContent : null;
    host.replaceChildren(...draw(value).filter(Boolean));
    if (focused !== null) restoreFocus(host, focused);
    return true;
  };
}

/** Keeps the keyboard focus on the control with the same text. */
function restoreFocus(host, text) {
  [...host.querySelectorAll("a, button, summary, pre")].find((control) => control.textContent === text)?.focus();
}
