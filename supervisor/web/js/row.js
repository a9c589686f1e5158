// One row of the status table: name, lamp, info, buttons, and below them the action that runs.
import { h } from './dom.js';

export const COLUMNS = 4;

export class Row {
  /** `body` is the row's own tbody; `operation` may be null. */
  constructor(body, title, operation = null) {
    this.operation = operation;
    this.lamp = h('span', { className: 'lamp' });
    this.info = h('td', { className: 'info', role: 'cell' });
    this.actions = h('td', { className: 'actions', role: 'cell' });
    const head = h('th', { scope: 'row', role: 'rowheader' }, title);
    const state = h('td', { className: 'state', role: 'cell' }, this.lamp);
    body.append(h('tr', { role: 'row' }, head, state, this.info, this.actions));
    if (operation) body.append(operation.row);
  }

  /** Add a button, hidden until it applies. */
  button(label, onclick, className = '') {
    const button = h('button', { type: 'button', className, hidden: true, onclick }, label);
    button.dataset.label = label;
    this.actions.append(button);
    return button;
  }

  /** Show Ready or Not Ready; null while that is not known. What is wrong is red, what is not yet there is not. */
  tell(ready, wrong = ready === false) {
    this.lamp.textContent = ready === null ? 'Checking…' : ready ? 'Ready' : 'Not Ready';
    this.lamp.className = ready ? 'lamp ready' : wrong ? 'lamp broken' : 'lamp';
  }

  /** Offer one of the row's buttons, or none; a busy one is disabled and says so. */
  offer(chosen, busy = false) {
    const buttons = [...this.actions.children];
    const held = buttons.includes(document.activeElement) || this.#heldFocus;
    for (const button of buttons) {
      button.hidden = button !== chosen;
      button.disabled = busy;
      button.textContent = busy ? 'Starting...' : button.dataset.label;
    }
    // A disabled button drops the keyboard's focus: the one that takes its place gets it back.
    this.#heldFocus = held && busy;
    if (held && !busy && chosen && document.activeElement === document.body) chosen.focus();
  }

  #heldFocus = false;
}
