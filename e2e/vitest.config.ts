import { defineConfig } from "vitest/config";

// Real servers, browsers and proxies: one suite at a time, limits that only a hang reaches.
export default defineConfig({
  test: {
    include: ["suites/**/*.e2e.ts"],
    testTimeout: 300_000,
    // Longer than the patience of `until`, which says what was waited for in vain.
    hookTimeout: 300_000,
    setupFiles: ["harness/failures.ts"],
    fileParallelism: false,
    reporters: ["verbose"],
  },
});
