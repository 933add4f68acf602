// Bundles every entry as ESM. Declarations come from tsc (tsconfig.build.json).
import { rm } from "node:fs/promises";
import { build } from "esbuild";

await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/index.ts", "src/shared.ts", "src/jobs.ts", "src/api.ts", "src/vue.ts", "src/react.ts"],
  outdir: "dist",
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  external: ["vue", "react"],
  sourcemap: true,
  chunkNames: "chunks/[name]-[hash]",
});
