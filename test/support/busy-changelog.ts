import { type ChangelogOptions, KIB } from "../../src/index.ts";

/** Appends early, begins segments, puts them together, and makes bases, all of the time. */
export const busyChangelog: ChangelogOptions = {
  segmentBytes: 64 * KIB,
  segmentsToMerge: 2,
  earlyAppendBytes: 512 * KIB,
  materializationLogBytes: 64 * KIB,
  materializationIntervalMs: 100,
};

/** The same with few bases, so that there are segments to put together. */
export const longChangelog: ChangelogOptions = {
  ...busyChangelog,
  materializationIntervalMs: 60_000,
};
