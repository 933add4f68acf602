/** What is still done when the process of a suite ends, also in the middle of a test. */

const deeds: (() => void)[] = [];

function doAll(): void {
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
for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.once(signal, () => {
    doAll();
    process.exit(1);
  });
}

/** Adds a deed. They are done in the order in which they were added; it must not wait for anything. */
export function atEnd(deed: () => void): void {
  deeds.push(deed);
}
