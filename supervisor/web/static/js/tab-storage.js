// Storage of values for this tab, which a reload of the page keeps: JSON in sessionStorage.

/** Return the stored value; null if there is none. */
export function readStored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null; // storage is off, or holds something else
  }
}

export function store(key, value) {
  try {
    sessionStorage.setItem(key, JSON.stringify(value));
  } catch {
    // storage is off or full: a reload loses the value
  }
}
