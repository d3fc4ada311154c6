// Loads a dump into the write buffer of the memory backend.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import type { KeyGroupRange } from "../api/keyed-state-backend.ts";
import { fetchBase } from "../checkpoint/base-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { readDumpRows } from "../format/dump.ts";
import { insertStored } from "../memory/room.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { RestorePart } from "./restore.ts";

/** Reads every file of the dumps and puts the rows of these key groups into the buffer. */
export async function loadDumps(
  parts: readonly RestorePart[],
  keyGroups: KeyGroupRange,
  buffer: WriteBuffer,
  workers: WorkerPool,
  environment: Environment,
  directory: string,
): Promise<void> {
  for (const [index, part] of parts.entries()) {
    const place = { environment, directory, prefix: String(index) };
    await loadDump(part, keyGroups, buffer, workers, place);
  }
}

interface FetchPlace {
  readonly environment: Environment;
  readonly directory: string;
  readonly prefix: string;
}

async function loadDump(
  { storage, handle }: RestorePart,
  owned: KeyGroupRange,
  buffer: WriteBuffer,
  workers: WorkerPool,
  { environment, directory, prefix }: FetchPlace,
): Promise<void> {
  const { list, files } = await fetchBase({
    storage,
    pool: workers,
    environment,
    base: handle.base,
    directory,
    localPath: (_entry, index) => join(directory, `${prefix}-${index}.dump`),
  });
  if (list.kind !== "dump") {
    throw new InvalidArgumentError("the checkpoint is a set of table files, not a dump");
  }
  const addresses = new RowAddresses(handle.keyGroups, handle.states);
  for (const { entry, path } of files) {
    const { lengthBytes, sha256, id } = entry;
    const name = fileName(id);
    const request = { path, lengthBytes, sha256, file: name };
    const { buffers } = await workers.submit("unpackDump", request);
    for (const rows of buffers) {
      readDumpRows(rows, name, 0, (key, stored) => {
        if (buffer.isPressed) refuse(buffer);
        const row = addresses.select(key, name);
        const group = key[0]! * 256 + key[1]!;
        if (group < owned.first || group > owned.last) return; // Another task's, now.
        if (buffer.find(row) !== 0) {
          throw new CorruptionError("a dump has a row twice", name, 0);
        }
        insertStored(buffer, row, stored);
      });
    }
  }
}

function refuse(buffer: WriteBuffer): never {
  const budget = buffer.pool.capacityBytes;
  throw new InvalidArgumentError(
    `the checkpoint does not fit memoryBudgetBytes = ${budget}: raise it, or use the lsm backend`,
  );
}
