/** What is still done when the process of a suite ends, also in the middle of a test. */

/** @type {(() => void)[]} */
const deeds = [];

function doAll() {
  for (const deed of deeds.splice(0)) {
    try {
      deed();
    } catch (error) {
      console.error(`at the end: ${String(error)}`);
    }
  }
}

process.once("exit", doAll);
// vitest ends the process of a suite by SIGTERM, which no `exit` handler hears of.
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  process.once(signal, () => {
    doAll();
    process.exit(1);
  });
}

/**
 * Adds a deed. They are done in the order in which they were added; it must not wait for anything.
 *
 * @param {() => void} deed
 */
export function atEnd(deed) {
  deeds.push(deed);
}
