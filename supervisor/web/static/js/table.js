// The status table: rows kept up to date, and running tasks joined.
import { byId } from './dom.js';
import { EnvironmentRow, ModelRow, ServerRow } from './rows.js';

/** Set the table up. Returns its rows by name. */
export function statusTable(status) {
  const rows = { server: new ServerRow(status), environment: new EnvironmentRow(status), model: new ModelRow(status) };
  const render = () => Object.values(rows).forEach((row) => row.render());
  status.addEventListener('change', () => {
    join(rows.environment, status.environment?.task_id);
    join(rows.model, status.model?.task_id);
    render();
  });
  for (const { operation } of [rows.environment, rows.model]) {
    operation.addEventListener('change', render);
  }
  byId('refresh').addEventListener('click', () => status.refresh());
  render();
  return rows;
}

function join({ operation }, taskId) {
  if (taskId && !operation.running) operation.join(taskId);
}
