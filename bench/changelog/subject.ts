// A state of equal rows under policy "changelog": loaded once a size, then branched, so that every
// measure starts from a settled base.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import { keyGroupOf } from "../../src/common/key-group.ts";
import { KeyTag, encodeKeyPayload, hashKeyPayload } from "../../src/format/key-codec.ts";
import {
  type ChangelogOptions,
  type ChangelogStats,
  type CheckpointPolicy,
  type KeyedStateBackend,
  MIB,
  type RestoreTarget,
  type RestoreVerification,
  type ValueState,
  bytes,
  fileSystemStorage,
  openKeyedStateBackend,
} from "../../src/index.ts";
import { progress } from "../support/command.ts";
import { fillBytes } from "../support/sequences.ts";

const keyGroups = 128;
/** Row key of a number, and the header byte of the row. */
const rowOverheadBytes = 17;

export interface SubjectOptions {
  readonly policy: CheckpointPolicy;
  readonly memoryBudgetBytes: number;
  readonly changelog?: ChangelogOptions | undefined;
  readonly restoreVerification?: RestoreVerification | undefined;
  readonly retainedCheckpoints?: number | undefined;
}

/** No base in the background, whatever the log has grown to. */
export const neverMaterialize: ChangelogOptions = {
  materializationLogBytes: 65_536 * MIB,
  materializationIntervalMs: 604_800_000,
};

export function openBackend(
  directory: string,
  restore: RestoreTarget,
  options: SubjectOptions,
): Promise<KeyedStateBackend> {
  const { changelog, ...rest } = options;
  return openKeyedStateBackend({
    ...rest,
    ...(options.policy === "changelog" ? { changelog } : {}),
    workingDirectory: join(directory, "working"),
    checkpointStorage: fileSystemStorage(join(directory, "checkpoints")),
    restore,
  });
}

export interface Rows {
  readonly count: number;
  readonly valueBytes: number;
}

export function rowsOf(stateBytes: number, valueBytes: number): Rows {
  return { count: Math.floor(stateBytes / (valueBytes + rowOverheadBytes)), valueBytes };
}

/** Key and stored value of a row. */
export function bytesOfRow({ valueBytes }: Rows): number {
  return valueBytes + rowOverheadBytes;
}

/** How many rows make so many bytes of net change. */
export function rowsChangedBy(rows: Rows, netBytes: number): number {
  return Math.max(1, Math.floor(netBytes / bytesOfRow(rows)));
}

export class RowState {
  readonly backend: KeyedStateBackend;
  readonly rows: Rows;
  readonly #state: ValueState<Uint8Array>;
  readonly #value: Uint8Array;
  /** Steps through all rows before one comes again: nothing is a multiple of a prime above it. */
  readonly #stride: number;
  #next = 0;
  /** The load's is 0. */
  #version = 1;

  constructor(backend: KeyedStateBackend, rows: Rows) {
    this.backend = backend;
    this.rows = rows;
    this.#state = backend.valueState({ name: "rows", value: bytes });
    this.#value = new Uint8Array(rows.valueBytes);
    this.#stride = coprimeBelow(rows.count);
  }

  static async open(
    directory: string,
    restore: RestoreTarget,
    rows: Rows,
    options: SubjectOptions,
  ): Promise<RowState> {
    return new RowState(await openBackend(directory, restore, options), rows);
  }

  /** All rows, key group by key group: LevelDB need not merge what it got in order. */
  async load(): Promise<void> {
    const { count } = this.rows;
    for (const [done, key] of keysByGroup(count).entries()) {
      if (done % 100_000 === 0) progress(`loading ${count} rows: ${done}`);
      await this.#write(key, 0);
    }
  }

  /** Rewrites so many rows, spread over all; others each time. */
  async change(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#next += this.#stride;
      if (this.#next >= this.rows.count) this.#next -= this.rows.count;
      if (this.#next === 0) this.#version++;
      await this.#write(this.#next, this.#version);
    }
  }

  /** Rewrites one row. */
  async changeRow(key: number): Promise<void> {
    await this.#write(key, ++this.#version);
  }

  /** As `change`, evenly over a time. */
  async changeEvenly(count: number, overMs: number): Promise<void> {
    const start = performance.now();
    const slices = Math.max(1, Math.floor(overMs / 2));
    let done = 0;
    for (let slice = 1; slice <= slices; slice++) {
      const upTo = Math.floor((count * slice) / slices);
      await this.change(upTo - done);
      done = upTo;
      const leftMs = start + (overMs * slice) / slices - performance.now();
      await (leftMs >= 1 ? delay(leftMs) : nextTurn());
    }
  }

  /** The first record after a restore. */
  readFirst(): void {
    this.backend.setCurrentKey(this.rows.count >>> 1);
    if (this.#state.value()?.length !== this.rows.valueBytes) throw new Error("a row is lost");
  }

  /** Checkpoints until compaction has nothing left to rewrite. Policy "incremental" only. */
  async settle(): Promise<void> {
    for (let quiet = 0, attempt = 0; quiet < 2; attempt++) {
      if (attempt === 200) throw new Error("compaction does not come to an end");
      const { uploadedBytes } = await this.backend.checkpoint();
      quiet = uploadedBytes < MIB ? quiet + 1 : 0;
      progress(`waiting for compaction, ${uploadedBytes} bytes were new`);
      await delay(300);
    }
  }

  async #write(key: number, version: number): Promise<void> {
    fillBytes(this.#value, key, version);
    this.backend.setCurrentKey(key);
    this.#state.update(this.#value);
    if (this.backend.needsDrain) await this.backend.drained();
  }
}

/** What the changelog did; throws where another policy runs. */
export function changelogOf(backend: KeyedStateBackend): ChangelogStats {
  const { changelog } = backend.stats();
  if (changelog === undefined) throw new Error("the backend has no changelog");
  return changelog;
}

/** Settled states by size, loaded when they are first asked for; measures branch them. */
export class Bases {
  readonly #scratch: string;
  readonly #paths = new Map<string, Promise<string>>();

  constructor(scratch: string) {
    this.#scratch = scratch;
  }

  /** Path of a checkpoint of these rows. */
  of(rows: Rows): Promise<string> {
    const name = `base-${rows.count}-${rows.valueBytes}`;
    const known = this.#paths.get(name);
    if (known !== undefined) return known;
    const path = load(join(this.#scratch, name), rows);
    this.#paths.set(name, path);
    return path;
  }
}

async function load(directory: string, rows: Rows): Promise<string> {
  await mkdir(directory);
  const options: SubjectOptions = {
    policy: "incremental",
    memoryBudgetBytes: 256 * MIB,
    retainedCheckpoints: 1,
  };
  const state = await RowState.open(directory, "latest-or-new", rows, options);
  try {
    await state.load();
    await state.settle();
  } finally {
    await state.backend.close();
  }
  return join(directory, "checkpoints");
}

/** The numbers below `count`, key group by key group: LevelDB need not merge what it gets in order. */
export function keysByGroup(count: number): Int32Array {
  const groupOf = new Uint8Array(count);
  const starts = new Int32Array(keyGroups + 1);
  for (let key = 0; key < count; key++) {
    const group = keyGroupOf(hashKeyPayload(KeyTag.number, encodeKeyPayload(key)), keyGroups);
    groupOf[key] = group;
    starts[group + 1]!++;
  }
  for (let group = 0; group < keyGroups; group++) starts[group + 1]! += starts[group]!;
  const keys = new Int32Array(count);
  for (let key = 0; key < count; key++) keys[starts[groupOf[key]!]!++] = key;
  return keys;
}

function coprimeBelow(count: number): number {
  const common = (a: number, b: number): number => (b === 0 ? a : common(b, a % b));
  let stride = Math.max(1, Math.floor(count * 0.618));
  while (common(count, stride) !== 1) stride++;
  return stride;
}
