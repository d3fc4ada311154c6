import { type ChangelogOptions, KIB } from "../../src/index.ts";

/** Appends early, begins segments, and makes bases, all of the time. */
export const busyChangelog: ChangelogOptions = {
  segmentBytes: 64 * KIB,
  earlyAppendBytes: 512 * KIB,
  materializationLogBytes: 64 * KIB,
  materializationIntervalMs: 100,
};
