/** Loaded with every suite: a test that failed is told with what its servers said last. */
import { afterEach } from "vitest";
import { forgetEnded } from "../../testing/server.mjs";
import { tell } from "./evidence.ts";

// Runs after the suite's own, which may have told about its pages already, and which ends its servers.
afterEach(async ({ task }) => {
  await tell(task);
  forgetEnded();
});
