/** Loaded with every suite: a test that failed is told with what its servers said last. */
import { afterEach } from "vitest";
import { tell } from "./evidence.ts";
import { forgetEnded } from "./server.ts";

// Runs after the suite's own, which may have told about its pages already, and which ends its servers.
afterEach(async ({ task }) => {
  await tell(task);
  forgetEnded();
});
