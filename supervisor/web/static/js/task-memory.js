// Task memory: which tasks this tab has submitted, so that the page shows them again after a reload.
import { readStored, store } from './tab-storage.js';

const KEY = 'bgremove-tasks';

/** Return the remembered tasks, oldest first: { taskId, name, options }. */
export function recall() {
  const tasks = readStored(KEY);
  return Array.isArray(tasks) ? tasks.filter((task) => typeof task?.taskId === 'string') : [];
}

export function remember(task) {
  store(KEY, [...recall().filter(({ taskId }) => taskId !== task.taskId), task]);
}

export function forget(taskId) {
  store(KEY, recall().filter((task) => task.taskId !== taskId));
}
