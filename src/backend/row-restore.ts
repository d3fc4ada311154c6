// Loads stored rows, of a dump or of a canonical savepoint, into the write buffer: all there is of the
// memory backend, and of the lsm backend what its drains then write.
//   L1. Keys ascend strictly within a part, from file to file too, and parts have disjoint key groups:
//       so no row comes twice.
//   L2. Canonical rows get the key group that their key has among the backend's; the one they carry
//       must be that of their key among the savepoint's.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import { type FetchedFile, type ListEntry, fetchBase } from "../checkpoint/base-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import type { LocalFiles } from "../checkpoint/local-files.ts";
import { TaskProgress } from "../checkpoint/task-progress.ts";
import { keyGroupOf } from "../common/key-group.ts";
import { CorruptionError, InvalidArgumentError, PoisonedError } from "../errors.ts";
import { readDumpRows } from "../format/dump.ts";
import type { CanonicalListEntry } from "../format/file-list.ts";
import { insertStored } from "../memory/room.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { RestorePart } from "./restore.ts";
import type { Tier } from "./tier.ts";

/** What takes the rows. */
export interface RowsTarget {
  readonly buffer: WriteBuffer;
  /** The buffer is pressed: makes room in this call, or throws. */
  relieve(): void;
  /** Between pieces of 1 MiB: lets the disk keep up. */
  settle(): Promise<void>;
}

export interface LoadRowsRequest {
  readonly parts: readonly RestorePart[];
  readonly keyGroups: KeyGroupRange;
  readonly target: RowsTarget;
  readonly workers: WorkerPool;
  readonly environment: Environment;
  /** For fetched files. */
  readonly directory: string;
  readonly local: LocalFiles | undefined;
}

/** The memory backend's: there is only the budget. */
export function bufferTarget(buffer: WriteBuffer): RowsTarget {
  return {
    buffer,
    relieve: () => {
      throw new InvalidArgumentError(
        `the checkpoint does not fit memoryBudgetBytes = ${buffer.pool.capacityBytes}: raise it, or use the lsm backend`,
      );
    },
    settle: () => Promise.resolve(),
  };
}

/** The lsm backend's, whose drains make room. */
export function tierTarget(buffer: WriteBuffer, tier: Tier): RowsTarget {
  const never = new AbortController().signal;
  return {
    buffer,
    relieve: () => tier.relieve(),
    settle: async () => {
      try {
        await tier.drained(never);
      } catch (cause) {
        // Nothing is open yet that could be poisoned: what failed is what the caller hears of.
        throw cause instanceof PoisonedError ? (cause.cause ?? cause) : cause;
      }
    },
  };
}

/** Reads every file that may have rows of these key groups, and puts those into the buffer. */
export async function loadRows(request: LoadRowsRequest): Promise<void> {
  for (const [index, part] of request.parts.entries()) {
    await new PartLoader(request, part).load(String(index));
  }
}

/** Rows of one file, and the last key of the file before it. */
type FileRows = Awaited<ReturnType<PartLoader["unpack"]>>;

class PartLoader {
  readonly #request: LoadRowsRequest;
  readonly #part: RestorePart;
  readonly #addresses: RowAddresses;
  readonly #isCanonical: boolean;
  #before: Uint8Array = new Uint8Array(0);

  constructor(request: LoadRowsRequest, part: RestorePart) {
    this.#request = request;
    this.#part = part;
    const { keyGroups, states, base } = part.handle;
    this.#addresses = new RowAddresses(keyGroups, states);
    this.#isCanonical = base.kind === "canonical";
  }

  async load(prefix: string): Promise<void> {
    const files = await this.#fetch(prefix);
    const progress = new TaskProgress(
      "load",
      files.map(({ entry }) => entry),
    );
    // One file ahead: it is unpacked while the rows of the one before are put in.
    let next: Promise<FileRows> | undefined;
    for (const [index, file] of files.entries()) {
      const rows = await (next ?? this.unpack(file));
      const following = files[index + 1];
      next = following === undefined ? undefined : this.unpack(following);
      next?.catch(() => undefined); // Reported when its turn comes.
      try {
        await this.#insert(rows);
        progress.fileDone(file.entry.lengthBytes);
      } catch (cause) {
        await next?.catch(() => undefined); // The fetched files are about to be removed.
        throw cause;
      }
    }
  }

  async #fetch(prefix: string): Promise<readonly FetchedFile[]> {
    const { workers, environment, directory, keyGroups, local } = this.#request;
    const { storage, handle } = this.#part;
    const isRegrouped = handle.keyGroups.max !== keyGroups.max;
    const { list, files } = await fetchBase({
      storage,
      pool: workers,
      environment,
      base: handle.base,
      directory,
      local: this.#part.isOwnStorage ? local : undefined,
      localPath: (_entry, index) => join(directory, `${prefix}-${index}.dump`),
      verify: () => "reader", // By `unpackDump`.
      select: (entry) => isRegrouped || mayHaveRowsOf(entry, keyGroups),
      rowsOf: handle,
    });
    if (list.kind === "sst-set") {
      throw new InvalidArgumentError("the checkpoint is a set of table files, not a dump");
    }
    return files;
  }

  async unpack({ entry, path }: FetchedFile) {
    const { lengthBytes, sha256, id } = entry;
    const file = fileName(id);
    const request = { path, lengthBytes, sha256, file };
    const { buffers, rowCount } = await this.#request.workers.submit("unpackDump", request);
    if ("rowCount" in entry && rowCount !== entry.rowCount) {
      throw new CorruptionError("the file has another number of rows than its list says", file, 0);
    }
    return { buffers, file, entry };
  }

  async #insert({ buffers, file, entry }: FileRows): Promise<void> {
    const { target } = this.#request;
    let isFirst = true;
    for (const rows of buffers) {
      await target.settle();
      readDumpRows(rows, file, 0, (key, stored) => {
        if (isFirst) this.#checkOrder(key, file);
        isFirst = false;
        this.#insertRow(key, stored, file, entry);
        this.#before = key;
      });
    }
    this.#before = this.#before.slice();
  }

  /** L1: within a file the order was verified as it was unpacked. */
  #checkOrder(key: Uint8Array, file: string): void {
    if (Buffer.compare(this.#before, key) < 0) return;
    throw new CorruptionError("rows do not ascend from file to file", file, 0);
  }

  #insertRow(key: Uint8Array, stored: Uint8Array, file: string, entry: ListEntry): void {
    const { keyGroups, target } = this.#request;
    const addresses = this.#addresses;
    const row = addresses.select(key, file);
    addresses.checkRow(stored, file);
    let group = key[0]! * 256 + key[1]!;
    if (this.#isCanonical) {
      const isInside = !("firstKeyGroup" in entry) || isWithin(group, entry);
      const own = keyGroupOf(addresses.keyHash, this.#part.handle.keyGroups.max);
      if (own !== group || !isInside) {
        throw new CorruptionError("a row is of another key group than its key", file, 0); // L2
      }
      group = addresses.regroup(keyGroups.max);
    }
    if (group < keyGroups.first || group > keyGroups.last) return; // Another task's, now.
    const { buffer } = target;
    if (buffer.isPressed) target.relieve();
    insertStored(buffer, row, stored);
  }
}

function isWithin(group: number, entry: CanonicalListEntry): boolean {
  return group >= entry.firstKeyGroup && group <= entry.lastKeyGroup;
}

function mayHaveRowsOf(entry: ListEntry, { first, last }: KeyGroupRange): boolean {
  if (!("firstKeyGroup" in entry)) return true;
  return entry.firstKeyGroup <= last && entry.lastKeyGroup >= first;
}
