// Row of the status table: title, status indicator, information, action buttons, and the running operation below.
import { byId, h, isDisabled, keepFocus, setDisabled } from './dom.js';

export const COLUMNS = 4;

export class Row {
  /** `body` is the row's own tbody element; `operation` may be null. */
  constructor(body, title, operation = null) {
    this.operation = operation;
    this.indicator = h('span', { className: 'indicator' });
    this.info = h('td', { className: 'info', role: 'cell' });
    this.actions = h('td', { className: 'actions', role: 'cell' });
    const head = h('th', { scope: 'row', role: 'rowheader' }, title);
    const state = h('td', { className: 'state', role: 'cell' }, this.indicator);
    body.append(h('tr', { role: 'row' }, head, state, this.info, this.actions));
    if (operation) body.append(operation.row);
  }

  /** Add a button, hidden until `showAction` selects it. */
  addButton(label, onclick, className = '') {
    const act = () => { if (!isDisabled(button)) onclick(); };
    const button = h('button', { type: 'button', className, hidden: true, onclick: act }, label);
    button.dataset.label = label;
    this.actions.append(button);
    return button;
  }

  /** Show Ready or Not Ready; `ready` is null while unknown. The indicator is red if `broken`, else grey or green. */
  setReady(ready, broken = ready === false) {
    this.indicator.textContent = ready === null ? 'Checking…' : ready ? 'Ready' : 'Not Ready';
    this.indicator.className = ready ? 'indicator ready' : broken ? 'indicator broken' : 'indicator';
  }

  /** Show one of the row's buttons, or none (null). A busy button is disabled, but keeps the keyboard focus. */
  showAction(action, busy = false) {
    keepFocus(() => {
      for (const button of this.actions.children) {
        button.hidden = button !== action;
        setDisabled(button, busy);
        button.textContent = busy ? 'Starting...' : button.dataset.label;
      }
    }, () => action ?? byId('refresh'));
  }
}
