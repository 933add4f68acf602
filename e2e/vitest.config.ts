/**
 * Real servers, browsers and proxies: three suites at a time, then, one by one, those that need the machine.
 */
import { defineConfig } from "vitest/config";

/** They measure the server's memory, or load the machine so much that a neighbour would wait in vain. */
const SERIAL = [
  "suites/pipeline/kafka.e2e.ts",
  "suites/jobs/video.e2e.ts",
  "suites/transports/slow-reader.e2e.ts",
  "suites/socketio/slow-reader.e2e.ts",
];

const common = {
  // Only a hang reaches it.
  testTimeout: 300_000,
  // Longer than the patience of `until`, which says what was waited for in vain.
  hookTimeout: 300_000,
  setupFiles: ["harness/failures.ts"],
};

export default defineConfig({
  test: {
    reporters: ["verbose"],
    projects: [
      {
        test: {
          ...common,
          name: "parallel",
          include: ["suites/**/*.e2e.ts"],
          exclude: SERIAL,
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: "serial",
          include: SERIAL,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
