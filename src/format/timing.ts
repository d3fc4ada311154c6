// How long a checkpoint took: among the extensions of its metadata, for people. Page:
// docs/formats/checkpoint-metadata.md. Nothing is decided by it.
import type { JsonValue, LoggedBytes } from "../api/keyed-state-backend.ts";
import type { CheckpointMetadata } from "./metadata.ts";

const NAME = "timing";

/** Milliseconds, by a clock that does not jump. */
export interface CheckpointTiming {
  /** From the trigger until the metadata was written: all else was durable by then. */
  readonly durationMs: number;
  /** The synchronous part. */
  readonly pauseMs: number;
  /** Where the time went; undefined if it is not told. */
  readonly phases?: TimingPhases | undefined;
  /** What the writer expected a restore to take; undefined if it did not say. */
  readonly recoveryMs?: number | undefined;
  /** What was appended to the log for it; undefined if it is not told. */
  readonly logged?: LoggedBytes | undefined;
  /** Whether a new base was being made in the background. */
  readonly isMaterializing?: boolean | undefined;
}

/** As `CheckpointPhases`, without what is not over yet when the metadata is written. */
export interface TimingPhases {
  readonly cutMs: number;
  readonly appendMs: number;
  readonly syncMs: number;
  readonly uploadMs: number;
}

const phaseNames = ["cutMs", "appendMs", "syncMs", "uploadMs"] as const;

export function encodeTiming(timing: CheckpointTiming): { readonly [name: string]: JsonValue } {
  const { durationMs, pauseMs, phases, recoveryMs, logged, isMaterializing } = timing;
  const all: { [name: string]: number } = { durationMs, pauseMs };
  if (phases !== undefined) for (const name of phaseNames) all[name] = phases[name];
  if (recoveryMs !== undefined) all["recoveryMs"] = recoveryMs;
  const rounded = Object.entries(all).map(([name, ms]) => [name, microseconds(ms)] as const);
  const bytes =
    logged === undefined ? {} : { loggedBytes: logged.bytes, loggedRawBytes: logged.rawBytes };
  const materializing = isMaterializing === true ? { isMaterializing } : {};
  return { [NAME]: { ...Object.fromEntries(rounded), ...bytes, ...materializing } };
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
  const fields = timing as { readonly [name: string]: JsonValue };
  const { durationMs, pauseMs, cutMs, appendMs, syncMs, uploadMs, recoveryMs } = fields;
  const { loggedBytes: bytes, loggedRawBytes: rawBytes } = fields;
  if (!isAmount(durationMs) || !isAmount(pauseMs)) return undefined;
  const hasPhases = isAmount(cutMs) && isAmount(appendMs) && isAmount(syncMs) && isAmount(uploadMs);
  const phases = hasPhases ? { cutMs, appendMs, syncMs, uploadMs } : undefined;
  return {
    durationMs,
    pauseMs,
    ...(phases === undefined ? {} : { phases }),
    ...(isAmount(recoveryMs) ? { recoveryMs } : {}),
    ...(isAmount(bytes) && isAmount(rawBytes) ? { logged: { bytes, rawBytes } } : {}),
    ...(fields["isMaterializing"] === true ? { isMaterializing: true } : {}),
  };
}

function isAmount(value: JsonValue | undefined): value is number {
  return typeof value === "number" && value >= 0;
}
