// How long a checkpoint took: among the extensions of its metadata, for people. Page:
// docs/formats/checkpoint-metadata.md. Nothing is decided by it.
import type { JsonValue } from "../api/keyed-state-backend.ts";
import type { CheckpointMetadata } from "./metadata.ts";

const NAME = "timing";

/** Milliseconds, by a clock that does not jump. */
export interface CheckpointTiming {
  /** From the trigger until the metadata was written: all else was durable by then. */
  readonly durationMs: number;
  /** The synchronous part. */
  readonly pauseMs: number;
}

export function encodeTiming({ durationMs, pauseMs }: CheckpointTiming): {
  readonly [name: string]: JsonValue;
} {
  return { [NAME]: { durationMs: microseconds(durationMs), pauseMs: microseconds(pauseMs) } };
}

/** As no clock is finer. Never below 0. */
function microseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1000)) / 1000;
}

/** Undefined if the metadata does not tell, or tells what no writer of this version does. */
export function timingOf({ extensions }: CheckpointMetadata): CheckpointTiming | undefined {
  if (extensions === undefined || !Object.hasOwn(extensions, NAME)) return undefined;
  const timing = extensions[NAME];
  if (typeof timing !== "object" || timing === null) return undefined;
  const { durationMs, pauseMs } = timing as { readonly [name: string]: JsonValue };
  if (!isDuration(durationMs) || !isDuration(pauseMs)) return undefined;
  return { durationMs, pauseMs };
}

function isDuration(value: JsonValue | undefined): value is number {
  return typeof value === "number" && value >= 0;
}
