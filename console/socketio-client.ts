/**
 * The browser builds of socket.io-client, unchanged and with their licence, beside the console's own files:
 * the server serves them where Socket.IO's own server does, so that a page only changes its address.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Plugin } from "vite";

const PACKAGE = new URL("./node_modules/socket.io-client/", import.meta.url);
const BUILDS = ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"];
const FILES = ["LICENSE", ...BUILDS.flatMap((name) => [`dist/${name}`, `dist/${name}.map`])];

export function socketIoClient(): Plugin {
  return {
    name: "socket.io-client",
    apply: "build",
    async generateBundle() {
      for (const file of FILES) {
        const source = await readFile(fileURLToPath(new URL(file, PACKAGE)));
        this.emitFile({ type: "asset", fileName: `socket.io/${file.replace("dist/", "")}`, source });
      }
    },
  };
}
