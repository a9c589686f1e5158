// Status panel: one line that says what works, and the status table below it when it is opened.
import { byId } from './dom.js';

/** Opens by itself when the server does not respond, and while something is being set up. */
export class StatusPanel {
  #needsAttention = false;

  /** `rows` are those of the table. */
  constructor(status, rows) {
    Object.assign(this, { status, operations: [rows.environment.operation, rows.model.operation] });
    status.addEventListener('change', () => this.render());
    for (const operation of this.operations) operation.addEventListener('change', () => this.render());
  }

  render() {
    const { server, model, problem } = this.status;
    const isSettingUp = this.operations.some(({ running }) => running);
    const needsAttention = Boolean(problem) || isSettingUp;
    if (needsAttention && !this.#needsAttention) byId('status-box').open = true;
    this.#needsAttention = needsAttention;
    const line = byId('status-line');
    line.textContent = problem ?? (server ? describe(server, model) : 'Checking…');
    line.className = ['indicator', problem ? 'broken' : server && 'ready'].filter(Boolean).join(' ');
    byId('status-more').textContent = !model || model.model_loaded ? 'Details' : 'Set up';
  }
}

/** Say which model the next photo gets, and what is missing for a better one. */
function describe({ builtin }, model) {
  const name = model.model_id.split('/').at(-1); // a local folder has no owner
  if (model.model_loaded) return `Ready: ${name} on ${model.device}.`;
  if (model.model_downloaded) return `Ready: ${name}, which the first photo loads.`;
  const own = builtin.available ? 'Ready: built-in model.' : 'Ready: built-in model, which the first photo downloads.';
  return `${own} ${name} is not downloaded.`;
}
