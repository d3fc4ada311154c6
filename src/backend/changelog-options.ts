// Options of policy "changelog": defaults and ranges are applied once, here.
import { integerOption, refuseUnknownOptions } from "../common/options.ts";
import { KIB, MIB } from "../common/units.ts";

export interface ChangelogOptions {
  /**
   * Length at which the next changelog segment is begun: longer ones mean fewer files, and more log
   * kept past its use. 64 KiB to 512 MiB.
   * @defaultValue 64 MiB
   */
  readonly segmentBytes?: number | undefined;
  /**
   * Small changelog segments in a row, below 256 KiB, from which on they are put together in the
   * background: a storage that takes whole objects only has one for each checkpoint. 2 to 64.
   * @defaultValue 16
   */
  readonly segmentsToMerge?: number | undefined;
  /**
   * Changed rows are appended ahead of the checkpoint once there are so many bytes of them in memory,
   * so that little is left to write at the cut. The size grows by itself, up to an eighth of the write
   * buffer, while rows change again soon after, which would be logged twice. 512 KiB to 1 GiB.
   * @defaultValue 512 KiB
   */
  readonly earlyAppendBytes?: number | undefined;
  /**
   * Log since the base, in bytes, from which on a new base is made in the background. 64 KiB to
   * 64 GiB.
   * @defaultValue half of the memory budget, at least 8 MiB
   */
  readonly materializationLogBytes?: number | undefined;
  /**
   * Longest time between two bases while rows change, in ms: 100 to 604,800,000 (a week).
   * @defaultValue 600,000
   */
  readonly materializationIntervalMs?: number | undefined;
  /**
   * How long a restore may take, in ms: a new base is made once the replay of the log, as estimated
   * from measured rates, would take the rest of it. 50 to 86,400,000.
   * @defaultValue none
   */
  readonly recoveryTimeObjectiveMs?: number | undefined;
  /**
   * Bases in a row that may fail, each a while after the one before, until checkpoints fail too.
   * 0 to 1,000,000.
   * @defaultValue 3
   */
  readonly tolerableFailedMaterializations?: number | undefined;
}

export interface ResolvedChangelogOptions {
  readonly segmentBytes: number;
  readonly segmentsToMerge: number;
  readonly earlyAppendBytes: number;
  readonly materializationLogBytes: number;
  readonly materializationIntervalMs: number;
  readonly recoveryTimeObjectiveMs: number | undefined;
  readonly tolerableFailedMaterializations: number;
}

const names: readonly (keyof ChangelogOptions)[] = [
  "segmentBytes",
  "segmentsToMerge",
  "earlyAppendBytes",
  "materializationLogBytes",
  "materializationIntervalMs",
  "recoveryTimeObjectiveMs",
  "tolerableFailedMaterializations",
];

/** `shareBytes`: the backend's share of the memory budget. */
export function resolveChangelogOptions(
  options: ChangelogOptions,
  shareBytes: number,
): ResolvedChangelogOptions {
  refuseUnknownOptions("changelog", options, names);
  const integer = (name: keyof ChangelogOptions, byDefault: number, min: number, max: number) =>
    integerOption(`changelog.${name}`, options[name], byDefault, min, max);
  const log = Math.max(8 * MIB, Math.floor(shareBytes / 2));
  return {
    segmentBytes: integer("segmentBytes", 64 * MIB, 64 * KIB, 512 * MIB),
    segmentsToMerge: integer("segmentsToMerge", 16, 2, 64),
    earlyAppendBytes: integer("earlyAppendBytes", 512 * KIB, 512 * KIB, 1024 * MIB),
    materializationLogBytes: integer("materializationLogBytes", log, 64 * KIB, 65_536 * MIB),
    materializationIntervalMs: integer("materializationIntervalMs", 600_000, 100, 604_800_000),
    recoveryTimeObjectiveMs:
      options.recoveryTimeObjectiveMs === undefined
        ? undefined
        : integer("recoveryTimeObjectiveMs", 50, 50, 86_400_000),
    tolerableFailedMaterializations: integer("tolerableFailedMaterializations", 3, 0, 1_000_000),
  };
}
