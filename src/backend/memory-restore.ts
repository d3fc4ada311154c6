// Loads a dump into the write buffer of the memory backend.
import { join } from "node:path";
import type { Environment } from "../api/environment.ts";
import { fetchBase } from "../checkpoint/base-reader.ts";
import { fileName } from "../checkpoint/layout.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { readDumpRows } from "../format/dump.ts";
import { insertStored } from "../memory/room.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import type { WorkerPool } from "../workers/worker-pool.ts";
import type { RestoreSource } from "./restore.ts";

/** Reads every file of the dump and puts its rows into the buffer. */
export async function loadDump(
  source: RestoreSource,
  buffer: WriteBuffer,
  workers: WorkerPool,
  environment: Environment,
  directory: string,
): Promise<void> {
  const { list, paths } = await fetchBase({
    storage: source.storage,
    pool: workers,
    environment,
    base: source.handle.base,
    directory,
    localPath: (_entry, index) => join(directory, `${index}.dump`),
  });
  if (list.kind !== "dump") {
    throw new InvalidArgumentError("the checkpoint is a set of table files, not a dump");
  }
  const { keyGroups, states } = source.handle;
  const addresses = new RowAddresses(keyGroups, states);
  for (const [index, file] of list.files.entries()) {
    const { lengthBytes, sha256, id } = file;
    const name = fileName(id);
    const request = { path: paths[index]!, lengthBytes, sha256, file: name };
    const { buffers } = await workers.submit("unpackDump", request);
    for (const rows of buffers) {
      readDumpRows(rows, name, 0, (key, stored) => {
        if (buffer.isPressed) refuse(buffer);
        const row = addresses.select(key, name);
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
