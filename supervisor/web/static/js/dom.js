// DOM helpers, and formatting of sizes and durations. Text never becomes markup.

const SVG = 'http://www.w3.org/2000/svg';

/** Return the element with that id. */
export const byId = (id) => document.getElementById(id);

/** Create an element with properties or attributes by name, `on…` event listeners, and children. */
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

/** Create a 24 x 24 line icon from one SVG path. */
export function icon(path) {
  const svg = document.createElementNS(SVG, 'svg');
  const line = document.createElementNS(SVG, 'path');
  const attributes = { viewBox: '0 0 24 24', fill: 'none', stroke: 'currentColor', 'stroke-width': '2',
    'stroke-linecap': 'round', 'stroke-linejoin': 'round', 'aria-hidden': 'true' };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  line.setAttribute('d', path);
  svg.append(line);
  return svg;
}

/** Create a button that shows an icon, with `label` as its accessible name. */
export const iconButton = (label, path, onclick, props = {}) =>
  h('button', { type: 'button', className: 'icon quiet', 'aria-label': label, title: label, onclick, ...props },
    icon(path));

/** Set an element's text, and hide it if there is none. */
export function setText(node, text) {
  node.textContent = text ?? '';
  node.hidden = !text;
}

/** Announce a text to screen readers through the live region. */
export function announce(text) {
  byId('announcer').textContent = text;
}

/** Disable a button with aria-disabled, which keeps the keyboard focus; the attribute `disabled` would lose it. */
export const setDisabled = (button, disabled) => button.setAttribute('aria-disabled', String(disabled));
export const isDisabled = (button) => button.getAttribute('aria-disabled') === 'true';

/** Apply a change that may hide the focused element; then focus what `fallback` returns, else the selected photo. */
export function keepFocus(change, fallback) {
  const focused = document.activeElement;
  change();
  if (focused === document.body || focused.checkVisibility()) return;
  (fallback?.() ?? document.querySelector('[aria-current="true"]') ?? byId('choose')).focus();
}

/** Return the text with its first letter in upper case. */
export const capitalise = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Resolve after a delay. */
export const delay = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Format a number of bytes with decimal units, such as "1.5 MB". */
export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${['', 'kB', 'MB', 'GB'][power]}`;
}

/** Format a duration, such as "250 ms" or "1.2 s". */
export const formatDuration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
