/** The steps of a report, in order; the first one is the upload. */
export const REPORT_STEPS = [
  "receive",
  "checksum",
  "dialect",
  "parse",
  "validate",
  "statistics",
  "charts",
  "render",
  "publish",
] as const;

/** The steps of a video, in order. */
export const VIDEO_STEPS = ["script", "speech", "frames", "encode", "publish"] as const;
