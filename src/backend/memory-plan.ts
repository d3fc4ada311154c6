// How a memory budget is spent. One budget covers the write buffer and its index, the block cache,
// two memtables per database, the index blocks of open tables, and bytes in flight.
import { MIB } from "../common/units.ts";
import type { LsmOptions } from "../lsm/level-database.ts";
import type { MmapReads } from "../lsm/table-mapping.ts";

/** Below this neither memtables nor headroom have room. */
export const MEMORY_BUDGET_BYTES_MIN: number = 16 * MIB;
export const MEMORY_BUDGET_BYTES_MAX: number = 1024 * 1024 * MIB;

/** Tuning of LevelDB. docs/tuning.md says what each one does. */
export interface LsmTuning {
  /** Decompressed blocks kept in memory. @defaultValue an eighth of the budget, at most 256 MiB */
  readonly blockCacheBytes?: number | undefined;
  /** Size of a memtable; up to two exist. @defaultValue a sixteenth of the budget, 1 to 64 MiB */
  readonly writeBufferBytes?: number | undefined;
  /** Size of a table file, 1 to 64 MiB. @defaultValue 8 MiB; choose 32 MiB above 8 GB of state */
  readonly fileSizeBytes?: number | undefined;
  /** Unit of reading and compression, 1 KiB to 4 MiB. @defaultValue 4 KiB */
  readonly blockSizeBytes?: number | undefined;
  /** Snappy. @defaultValue true */
  readonly compression?: boolean | undefined;
  /**
   * Whether LevelDB maps table files into memory (`true`), up to a thousand, or reads from them (`false`);
   * for all backends of the process. `"auto"`: maps until they are more than half of the memory that the
   * budget leaves of the container's limit, else of the free memory.
   * @defaultValue "auto"
   */
  readonly mmapReads?: MmapReads | undefined;
  /** Table files kept open, 74 to 50,000: should cover all of them. @defaultValue 10,000 */
  readonly maxOpenFiles?: number | undefined;
}

/** Defaults for a database that may use `shareBytes` of the budget. */
export function defaultLsmOptions(shareBytes: number): LsmOptions {
  return {
    blockCacheBytes: clamp(shareBytes / 8, MIB, 256 * MIB),
    writeBufferBytes: clamp(shareBytes / 16, MIB, 64 * MIB),
    fileSizeBytes: 8 * MIB,
    blockSizeBytes: 4096,
    compression: true,
    maxOpenFiles: 10_000,
  };
}

/** Table files that may be mapped into memory, beside a budget: half of what it leaves. */
export function mappableBytes(availableBytes: number, budgetBytes: number): number {
  return Math.floor(Math.max(0, availableBytes - budgetBytes) / 2);
}

/** What a database takes of the budget at once: cache, memtables, and bytes in flight of a drain. */
export function lsmReservedBytes(lsm: LsmOptions, shareBytes: number): number {
  return Math.floor(lsm.blockCacheBytes + 2 * lsm.writeBufferBytes + shareBytes / 16);
}

/** Memory for the index blocks of open tables. One entry of about 40 bytes a block of 4 KiB. */
export function tableReservedBytes(liveBytes: number, blockSizeBytes: number): number {
  return Math.floor((liveBytes / blockSizeBytes) * 40);
}

function clamp(value: number, min: number, max: number): number {
  return Math.floor(Math.min(max, Math.max(min, value)));
}
