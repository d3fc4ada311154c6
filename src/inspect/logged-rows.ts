// The rows of a base under the changes of a log.
//   O1. Rows ascend, each key once: where the log has a word on a key, the base is not asked.
//   O2. A log is resolved when it is first needed: as a whole if it is small, or if its frames have rows of so
//       many key groups that each would be decoded again and again; else a key group at a time, the last
//       of which is kept.
import type { LogSource } from "./log-source.ts";
import { type LoggedChanges, SORT_BYTES, isRemoved, logChanges } from "./log-changes.ts";
import {
  type Groups,
  type Row,
  RowCursor,
  type RowRange,
  type RowSource,
  rangeOfGroups,
} from "./row-source.ts";
import type { Scratch } from "./scratch.ts";
import type { SortedRun } from "./sorted-run.ts";

const BATCH_ROWS = 512;
const BATCH_BYTES = 262_144;
/** Times that a frame is decoded by who reads all key groups one by one. */
const GROUPS_PER_FRAME = 4;

export class LoggedRows implements RowSource {
  readonly #base: RowSource & { clear(): void };
  readonly #log: LogSource;
  readonly #scratch: Scratch;
  readonly #sortBytes: number;
  readonly #isWhole: boolean;
  #part: { readonly groups: Groups; readonly changes: Promise<LoggedChanges> } | undefined;

  constructor(
    base: RowSource & { clear(): void },
    log: LogSource,
    scratch: Scratch,
    sortBytes: number = SORT_BYTES,
  ) {
    this.#base = base;
    this.#log = log;
    this.#scratch = scratch;
    this.#sortBytes = sortBytes;
    this.#isWhole =
      log.rawBytesOf(log.handle.keyGroups) <= sortBytes || log.groupsOfBytes() > GROUPS_PER_FRAME;
  }

  contentOf(range: RowRange): string | undefined {
    const base = this.#base.contentOf(range);
    const groups = this.#groupsOf(range);
    if (base === undefined || groups === undefined) return base;
    return `${base}\n${this.#log.contentOf(groups)}`;
  }

  async *rows(range: RowRange): AsyncGenerator<readonly Row[], void, void> {
    const groups = this.#groupsOf(range);
    if (groups === undefined) return yield* this.#base.rows(range);
    if (this.#isWhole) return yield* this.#rowsOf(range, this.#log.handle.keyGroups);
    for (let group = groups.first; group <= groups.last; group++) {
      const own = rangeOfGroups(group, group);
      yield* this.#rowsOf(intersect(range, own), { first: group, last: group });
    }
  }

  clear(): void {
    this.#base.clear();
    this.#part = undefined;
  }

  async *#rowsOf(range: RowRange, groups: Groups): AsyncGenerator<readonly Row[], void, void> {
    const { rows, chunks } = await this.#changesOf(groups);
    const changed = overlay(this.#base.rows(range), rows, range);
    yield* chunks === undefined ? changed : overlay(changed, chunks, range);
  }

  async #changesOf({ first, last }: Groups): Promise<LoggedChanges> {
    const known = this.#part;
    if (known?.groups.first === first && known.groups.last === last) return known.changes;
    const groups = { first, last };
    const changes = logChanges(this.#log, this.#base, groups, this.#scratch, this.#sortBytes);
    const part = { groups, changes };
    this.#part = part;
    try {
      return await changes;
    } catch (error) {
      if (this.#part === part) this.#part = undefined; // Another call may succeed.
      throw error;
    }
  }

  /** Those of the handle that a range may meet; undefined if none. */
  #groupsOf({ gte, lt }: RowRange): Groups | undefined {
    const own = this.#log.handle.keyGroups;
    const first = Math.max(own.first, groupOf(gte));
    const end = lt === undefined ? own.last : groupOf(lt) - (lt.length <= 2 ? 1 : 0);
    const last = Math.min(own.last, end);
    return first <= last ? { first, last } : undefined;
  }
}

function groupOf([high = 0, low = 0]: Uint8Array): number {
  return high * 256 + low;
}

function intersect(a: RowRange, b: RowRange): RowRange {
  const gte = Buffer.compare(a.gte, b.gte) >= 0 ? a.gte : b.gte;
  if (a.lt === undefined || b.lt === undefined) return { gte, lt: a.lt ?? b.lt };
  return { gte, lt: Buffer.compare(a.lt, b.lt) <= 0 ? a.lt : b.lt };
}

/** O1 */
async function* overlay(
  below: AsyncGenerator<readonly Row[], void, void>,
  above: SortedRun,
  range: RowRange,
): AsyncGenerator<readonly Row[], void, void> {
  const [base, log] = [new RowCursor(below), new RowCursor(above.rows(range))];
  let batch: Row[] = [];
  let batchBytes = 0;
  let [hasBase, hasLog] = [await base.fill(), await log.fill()];
  try {
    while (hasBase || hasLog) {
      const order = !hasLog
        ? -1
        : !hasBase
          ? 1
          : Buffer.compare(base.current!.key, log.current!.key);
      const row = order < 0 ? base.current! : log.current!;
      if (order < 0 || !isRemoved(row.row)) {
        batch.push(row);
        batchBytes += row.key.length + row.row.length;
      }
      if (order <= 0) hasBase = await next(base);
      if (order >= 0) hasLog = await next(log);
      if (batch.length < BATCH_ROWS && batchBytes < BATCH_BYTES) continue;
      yield batch;
      [batch, batchBytes] = [[], 0];
    }
    if (batch.length > 0) yield batch;
  } finally {
    await base.close();
    await log.close();
  }
}

async function next(cursor: RowCursor): Promise<boolean> {
  cursor.advance();
  return cursor.current !== undefined || cursor.fill();
}
