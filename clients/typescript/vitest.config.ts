import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.{ts,tsx}"],
    exclude: ["test/server.test.ts"],
    testTimeout: 60_000,
    maxWorkers: 2,
  },
});
