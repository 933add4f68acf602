/**
 * Uploads with the ordinary tus client: in one piece, and in parts side by side that become one file and one
 * job.
 */
import { createHash, randomBytes } from "node:crypto";
import { Upload, type UploadOptions } from "tus-js-client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { json } from "../../../testing/http.mjs";
import { Server } from "../../../testing/server.mjs";

let server: Server;

beforeEach(async () => {
  server = await Server.start();
});

afterEach(() => server?.dispose());

interface Jobs {
  readonly jobs: readonly { readonly session_id: string; readonly title: string }[];
}

/** As many rows as it takes, and each another: a part in the wrong place is another file. */
function csv(rows: number): Buffer {
  const lines = Array.from({ length: rows }, (_, row) => `${row},${randomBytes(12).toString("hex")}`);
  return Buffer.from(`row,value\n${lines.join("\n")}\n`);
}

function upload(file: Buffer, options: UploadOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent: Upload = new Upload(file, {
      endpoint: `${server.url}/api/uploads`,
      metadata: { filename: "rows.csv" },
      retryDelays: null,
      ...options,
      onSuccess: () => resolve(sent.url ?? ""),
      onError: reject,
    });
    sent.start();
  });
}

async function stored(id: string): Promise<string> {
  const answer = await fetch(`${server.url}/api/jobs/${id}/upload`);
  const file = Buffer.from(await answer.arrayBuffer());
  return createHash("sha256").update(file).digest("hex");
}

test.each([
  { name: "one piece", options: {} },
  { name: "one request", options: { uploadDataDuringCreation: true } },
  { name: "three parts", options: { parallelUploads: 3 } },
  {
    name: "three parts, each with its creation",
    options: { parallelUploads: 3, uploadDataDuringCreation: true },
  },
  { name: "five parts of small chunks", options: { parallelUploads: 5, chunkSize: 100_000 } },
])("a file in $name is one job with the whole file", async ({ options }) => {
  const file = csv(60_000);
  const url = await upload(file, options);
  expect(url).toContain("/api/uploads/");
  const { jobs } = await json<Jobs>(`${server.url}/api/jobs`);
  expect(jobs.map((job) => job.title)).toEqual(["rows.csv"]);
  const id = jobs[0]?.session_id ?? "";
  expect(await stored(id)).toBe(createHash("sha256").update(file).digest("hex"));
});

test("parts go on after an upload that was stopped, and still make one job", async () => {
  const file = csv(60_000);
  const previous = await new Promise<Upload>((resolve, reject) => {
    const sent: Upload = new Upload(file, {
      endpoint: `${server.url}/api/uploads`,
      metadata: { filename: "rows.csv" },
      retryDelays: null,
      parallelUploads: 3,
      chunkSize: 50_000,
      onChunkComplete: () => resolve(sent),
      onError: reject,
    });
    sent.start();
  });
  await previous.abort();
  await new Promise<void>((resolve, reject) => {
    previous.options.onSuccess = () => resolve();
    previous.options.onError = reject;
    previous.start();
  });
  const { jobs } = await json<Jobs>(`${server.url}/api/jobs`);
  expect(jobs).toHaveLength(1);
  expect(await stored(jobs[0]?.session_id ?? "")).toBe(createHash("sha256").update(file).digest("hex"));
});
