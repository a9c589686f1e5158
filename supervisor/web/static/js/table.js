// Status table: updates its rows, and attaches them to tasks that are already running.
import { byId } from './dom.js';
import { ModelPicker } from './model-picker.js';
import { EnvironmentRow, ModelRow, ServerRow } from './rows.js';

/** Create the table's rows and return them by name. */
export function createStatusTable(status) {
  const rows = { server: new ServerRow(status), environment: new EnvironmentRow(status), model: new ModelRow(status) };
  const picker = new ModelPicker(status);
  byId('row-model').append(picker.row);
  const render = () => Object.values(rows).forEach((row) => row.render());
  status.addEventListener('change', () => {
    attach(rows.environment, status.environment?.task_id);
    attach(rows.model, status.model?.task_id);
    render();
    picker.render();
  });
  for (const { operation } of [rows.environment, rows.model]) {
    operation.addEventListener('change', render);
  }
  byId('refresh').addEventListener('click', () => status.refresh());
  render();
  return rows;
}

function attach({ operation }, taskId) {
  if (taskId && !operation.running) operation.attach(taskId);
}
