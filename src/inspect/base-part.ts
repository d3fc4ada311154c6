// One handle of a checkpoint: its file list, its log and its rows, loaded when they are first asked for.
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { KeyedStateHandle, StateSchema } from "../api/keyed-state-backend.ts";
import { readFileList } from "../checkpoint/base-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import type { FileList, SstListEntry } from "../format/file-list.ts";
import { userKeyOf } from "../format/leveldb-internal-key.ts";
import { runTask } from "../workers/task-runner.ts";
import { type WorkerPool, openWorkerPoolOn } from "../workers/worker-pool.ts";
import { DumpRows } from "./dump-rows.ts";
import type { EntryDecoder } from "./entry-decoder.ts";
import { LogSource } from "./log-source.ts";
import { LoggedRows } from "./logged-rows.ts";
import type { Groups, RowSource } from "./row-source.ts";
import type { Scratch } from "./scratch.ts";
import { SstRows } from "./sst-rows.ts";

interface ClearableRows extends RowSource {
  clear(): void;
}

export class BasePart {
  readonly handle: KeyedStateHandle;
  readonly decoders: ReadonlyMap<string, EntryDecoder>;
  readonly storage: CheckpointStorage;
  #list: Promise<FileList> | undefined = undefined;
  readonly #scratch: Scratch;
  #baseRows: Promise<ClearableRows> | undefined = undefined;
  #log: Promise<LogSource> | undefined = undefined;
  #rows: Promise<ClearableRows> | undefined = undefined;

  constructor(
    storage: CheckpointStorage,
    handle: KeyedStateHandle,
    decoderOf: (schema: StateSchema) => EntryDecoder,
    scratch: Scratch,
  ) {
    this.storage = storage;
    this.#scratch = scratch;
    this.handle = handle;
    this.decoders = new Map(handle.states.map((schema) => [schema.name, decoderOf(schema)]));
  }

  async list(): Promise<FileList> {
    this.#list ??= readFileList(this.storage, inlinePool(), this.handle.base);
    try {
      return await this.#list;
    } catch (error) {
      this.#list = undefined; // Another call may succeed.
      throw error;
    }
  }

  /** Rows of base and log. */
  async rows(): Promise<RowSource> {
    this.#rows ??= this.#openRows();
    try {
      return await this.#rows;
    } catch (error) {
      this.#rows = undefined;
      throw error;
    }
  }

  /** Rows of the base alone. */
  async baseRows(): Promise<ClearableRows> {
    this.#baseRows ??= this.#openBase();
    try {
      return await this.#baseRows;
    } catch (error) {
      this.#baseRows = undefined;
      throw error;
    }
  }

  /** The changes after the base, of which every byte is verified then. */
  async log(): Promise<LogSource> {
    this.#log ??= LogSource.open(this.storage, this.handle);
    try {
      return await this.#log;
    } catch (error) {
      this.#log = undefined;
      throw error;
    }
  }

  async #openRows(): Promise<ClearableRows> {
    const base = await this.baseRows();
    if (this.handle.log === undefined) return base;
    return new LoggedRows(base, await this.log(), this.#scratch);
  }

  async #openBase(): Promise<ClearableRows> {
    const list = await this.list();
    // Files of a canonical savepoint are those of a dump, sorted over all of them.
    if (list.kind !== "sst-set") {
      return new DumpRows(this.storage, { kind: "dump", files: list.files });
    }
    const { keyGroups, base } = this.handle;
    return new SstRows(this.storage, list, keyGroups, fileName(base.fileList.id));
  }

  /** Gives back what is cached. */
  clear(): void {
    (this.#rows ?? this.#baseRows)?.then(
      (rows) => rows.clear(),
      () => undefined, // Nothing was cached then.
    );
  }
}

/** A file list is small: a thread of its own would take longer to start. */
function inlinePool(): WorkerPool {
  const { fileSystem } = nodeEnvironment();
  const threads = {
    run: (message: Parameters<typeof runTask>[0]) => runTask(message, fileSystem),
    close: () => Promise.resolve(),
  };
  return openWorkerPoolOn(threads, 1);
}

/** Key groups between the bounds of a table file. */
export function groupsOfSst({ smallest, largest }: SstListEntry): Groups {
  return { first: groupOf(smallest), last: groupOf(largest) };
}

function groupOf(internalKey: Uint8Array): number {
  const [high = 0, low = 0] = userKeyOf(internalKey);
  return high * 256 + low;
}

/** What both have; undefined if nothing. */
export function intersection(a: Groups, b: Groups): Groups | undefined {
  const groups = { first: Math.max(a.first, b.first), last: Math.min(a.last, b.last) };
  return groups.first <= groups.last ? groups : undefined;
}
