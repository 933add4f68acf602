// Measures what an application pays: each entry bundled, minified and gzipped. Exits with 1 over the limit.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

export const CORE_BYTES_MAX = 10_000;

/** Bytes of one entry as a browser would fetch it. */
export async function measure(entry) {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["vue", "react"],
    write: false,
  });
  const code = result.outputFiles[0].contents;
  return { minified: code.length, gzipped: gzipSync(code, { level: 9 }).length };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  for (const entry of ["src/index.ts", "src/shared.ts", "src/jobs.ts", "src/vue.ts", "src/react.ts"]) {
    const { minified, gzipped } = await measure(entry);
    console.log(`${entry.padEnd(16)} ${minified} B minified, ${gzipped} B gzipped`);
    if (entry === "src/index.ts" && gzipped > CORE_BYTES_MAX) {
      console.error(`the core may be at most ${CORE_BYTES_MAX} B gzipped`);
      process.exitCode = 1;
    }
  }
}
