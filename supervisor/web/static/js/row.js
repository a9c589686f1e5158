// One row of the status table: name, lamp, info, buttons, and below them the action that runs.
import { byId, h, keepFocus, rest, rests } from './dom.js';

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
    const act = () => { if (!rests(button)) onclick(); };
    const button = h('button', { type: 'button', className, hidden: true, onclick: act }, label);
    button.dataset.label = label;
    this.actions.append(button);
    return button;
  }

  /** Show Ready or Not Ready; null while that is not known. What is wrong is red, what is not yet there is not. */
  tell(ready, wrong = ready === false) {
    this.lamp.textContent = ready === null ? 'Checking…' : ready ? 'Ready' : 'Not Ready';
    this.lamp.className = ready ? 'lamp ready' : wrong ? 'lamp broken' : 'lamp';
  }

  /** Offer one of the row's buttons, or none; a busy one does nothing and says so, but keeps the keyboard's focus. */
  offer(chosen, busy = false) {
    keepFocus(() => {
      for (const button of this.actions.children) {
        button.hidden = button !== chosen;
        rest(button, busy);
        button.textContent = busy ? 'Starting...' : button.dataset.label;
      }
    }, () => chosen ?? byId('refresh'));
  }
}
