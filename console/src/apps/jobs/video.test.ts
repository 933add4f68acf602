import { expect, test } from "vitest";
import type { JobState } from "@/shared/wire";
import { askedFor, ownFile } from "./video";

const job = { session_id: "a", title: "Tides", attempt: 2 } as JobState;

test("only files of the job itself are shown", () => {
  expect(ownFile(job, "/api/jobs/a/files/video.mp4")).toBe("/api/jobs/a/files/video.mp4?attempt=2");
  for (const url of [
    undefined,
    "",
    "https://elsewhere/x.mp4",
    "/api/jobs/b/files/x.mp4",
    "/api/jobs/a/files/../x",
    "javascript:x",
  ])
    expect(ownFile(job, url)).toBeNull();
});

test("the question is what was written, and the title where that is not known", () => {
  expect(askedFor(job)).toBe("Tides");
  expect(
    askedFor({
      ...job,
      command: { order: "configured", name: "video", parameters: { message: "A video\nabout tides" } },
    }),
  ).toBe("A video\nabout tides");
});
