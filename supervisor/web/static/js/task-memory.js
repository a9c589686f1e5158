// Task memory: which tasks this tab has submitted, so that the page shows them again after it was reloaded.
const KEY = 'bgremove-tasks';

/** Return the remembered tasks, oldest first: { taskId, name, options }. */
export function recall() {
  try {
    const tasks = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
    return Array.isArray(tasks) ? tasks.filter((task) => typeof task?.taskId === 'string') : [];
  } catch {
    return []; // storage is off, or holds something else
  }
}

export function remember(task) {
  write([...recall().filter(({ taskId }) => taskId !== task.taskId), task]);
}

export function forget(taskId) {
  write(recall().filter((task) => task.taskId !== taskId));
}

function write(tasks) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(tasks));
  } catch {
    // storage is off or full: the tasks are not shown again
  }
}
