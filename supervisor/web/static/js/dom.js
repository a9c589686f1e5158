// Small helpers around the document: no markup is ever made from text.

const SVG = 'http://www.w3.org/2000/svg';

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/** Make an element: properties or attributes by name, `on…` for listeners, then its children. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name in node) node[name] = value;
    else if (value !== false && value != null) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child != null && child !== false));
  return node;
}

/** Draw a 24 x 24 line icon from one path. */
export function icon(path) {
  const svg = document.createElementNS(SVG, 'svg');
  const line = document.createElementNS(SVG, 'path');
  const look = { viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', 'stroke-width': '2',
    'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true' };
  for (const [name, value] of Object.entries(look)) svg.setAttribute(name, value);
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** A button that shows an icon and is named by `label`. */
export const iconButton = (label, path, onclick, props = {}) =>
  h('button', { type: 'button', className: 'icon quiet', 'aria-label': label, title: label, onclick, ...props },
    icon(path));

/** Show or hide a line of text, by what it says. */
export function say(node, text) {
  node.textContent = text ?? '';
  node.hidden = !text;
}

/** Have screen readers say something, once. */
export function announce(text) {
  byId('announcer').textContent = text;
}

/** Let a button rest, or not: it says so and does nothing, but keeps the keyboard's focus, as a disabled one would not. */
export const rest = (button, resting) => button.setAttribute('aria-disabled', String(resting));
export const rests = (button) => button.getAttribute('aria-disabled') === 'true';

/** Do what may hide the element that has the keyboard's focus; then what `near` tells has it, else the photo on show. */
export function keepFocus(change, near) {
  const held = document.activeElement;
  change();
  if (held === document.body || held.checkVisibility()) return;
  (near?.() ?? document.querySelector('[aria-current="true"]') ?? byId('choose')).focus();
}

/** A sentence's beginning. */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Resolves after that long. */
export const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Bytes in words, as file managers write them. */
export function sizeInWords(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${['', 'kB', 'MB', 'GB'][power]}`;
}

/** Milliseconds in words. */
export const timeInWords = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
