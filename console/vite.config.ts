import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";
import { socketIoClient } from "./socketio-client";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
// Where `npm run dev` and `npm run preview` find an Anywire server.
const target = process.env.ANYWIRE_URL ?? "http://127.0.0.1:8000";
const proxy = {
  "/api": { target },
  "/anywire": { target, ws: true },
  "/metrics": { target },
};

// What the server sends with the console's files, so that `npm run preview` shows what it would forbid.
const policy =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self' ws: wss:; " +
  "frame-src 'self' blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'";

export default defineConfig({
  plugins: [vue(), socketIoClient()],
  resolve: {
    alias: {
      "@": path("./src"),
      // The client's sources, not its package: the console needs no build of it.
      "anywire/api": path("../clients/typescript/src/api.ts"),
      "anywire/jobs": path("../clients/typescript/src/jobs.ts"),
      anywire: path("../clients/typescript/src/index.ts"),
    },
  },
  server: { host: "127.0.0.1", proxy, fs: { allow: [".", path("../clients/typescript")] } },
  preview: { host: "127.0.0.1", proxy, headers: { "Content-Security-Policy": policy } },
  build: { target: "es2022", chunkSizeWarningLimit: 400 },
  // A limit that only a hang reaches: these tests run beside the build of the server.
  test: { environment: "happy-dom", include: ["src/**/*.test.ts"], maxWorkers: 1, testTimeout: 60_000 },
});
