// Writes src/api.ts: the types of the HTTP API, from its description. With --check it only says whether they
// are those of the description.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const DESCRIPTION = new URL("../../../crates/server/api/openapi.json", import.meta.url);
const TYPES = new URL("../src/api.ts", import.meta.url);
const HEAD = `/**
 * The types of the HTTP API (docs/http-api.md). Generated from crates/server/api/openapi.json: \`npm run api\`.
 */
`;

const description = JSON.parse(await readFile(DESCRIPTION, "utf8"));
// Who calls a path knows it; what crosses the wire are the schemas.
const { schemas } = description.components;
const document = { ...description, paths: {}, components: { schemas } };
const options = { rootTypes: true, rootTypesNoSchemaPrefix: true, immutable: true, alphabetize: true };
const types = HEAD + astToString(await openapiTS(document, options));

if (!process.argv.includes("--check")) await writeFile(TYPES, types);
else if ((await readFile(TYPES, "utf8").catch(() => "")) !== types) {
  console.error("src/api.ts is stale: run npm run api");
  process.exitCode = 1;
}
