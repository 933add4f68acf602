import { defineConfig } from "vitest/config";

// Against a real server: wall-clock time, one file, one at a time.
export default defineConfig({
  test: {
    include: ["test/server.test.ts"],
    testTimeout: 90_000,
    hookTimeout: 90_000,
    fileParallelism: false,
  },
});
