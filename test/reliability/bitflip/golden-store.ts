// A golden in memory, read as a restore reads it, up to where LevelDB or the write buffer would take over.
import { createHash } from "node:crypto";
import { posix } from "node:path";
import { fetchBase } from "../../../src/checkpoint/base-reader.ts";
import { CheckpointReader } from "../../../src/checkpoint/checkpoint-reader.ts";
import { openLog } from "../../../src/checkpoint/log-reader.ts";
import { metadataName } from "../../../src/checkpoint/layout.ts";
import { fileSystemStorage } from "../../../src/index.ts";
import type { CheckpointStorage } from "../../../src/index.ts";
import { savepointFormatOf } from "../../../src/format/savepoint.ts";
import { memoryEnvironment } from "../../../src/testing/index.ts";
import { type WorkerPool, openWorkerPool } from "../../../src/workers/worker-pool.ts";

const ROOT = "/golden";
const FETCHED = "/fetched";

export class GoldenStore {
  readonly #environment = memoryEnvironment();
  readonly #storage: CheckpointStorage = fileSystemStorage(ROOT, {}, this.#environment);
  #pool: WorkerPool | undefined;
  /** How many bytes of each object a restore depends on. */
  readonly dependsOn: Map<string, number> = new Map();

  async open(objects: ReadonlyMap<string, Buffer>): Promise<void> {
    this.#pool = await openWorkerPool({ environment: this.#environment });
    for (const [name, bytes] of objects) await this.#put(name, bytes);
    const metadata = await new CheckpointReader(this.#storage).loadNewest();
    const name = metadataName(metadata.completionNumber);
    this.dependsOn.set(name, objects.get(name)!.length);
    for (const handle of metadata.handles) {
      this.dependsOn.set(`files/${handle.base.fileList.id}`, handle.base.fileList.lengthBytes);
      const { list } = await this.#fetch(handle);
      for (const { id, lengthBytes } of list.files) this.dependsOn.set(`files/${id}`, lengthBytes);
      for (const { id, lengthBytes } of handle.log?.segments ?? []) {
        this.dependsOn.set(`files/${id}`, lengthBytes);
      }
    }
  }

  async #put(name: string, bytes: Buffer | undefined): Promise<void> {
    const { fileSystem } = this.#environment;
    const path = `${ROOT}/${name}`;
    if ((await fileSystem.stat(path)) !== undefined) await fileSystem.unlink(path);
    if (bytes === undefined) return;
    await fileSystem.makeDirectory(posix.dirname(path));
    const file = await fileSystem.create(path);
    await file.write(bytes);
    await file.close();
  }

  /** Replaces objects while `run` runs. */
  async whileDamaged<R>(
    names: readonly string[],
    bytes: readonly (Buffer | undefined)[],
    objects: ReadonlyMap<string, Buffer>,
    run: () => Promise<R>,
  ): Promise<R> {
    for (const [index, name] of names.entries()) await this.#put(name, bytes[index]);
    try {
      return await run();
    } finally {
      for (const name of names) await this.#put(name, objects.get(name));
    }
  }

  /** A digest of everything that a restore would serve from. */
  async digest(): Promise<string> {
    const hash = createHash("sha256");
    const metadata = await new CheckpointReader(this.#storage).loadNewest();
    savepointFormatOf(metadata, metadataName(metadata.completionNumber));
    hash.update(JSON.stringify(metadata));
    for (const handle of metadata.handles) {
      const { files } = await this.#fetch(handle);
      for (const { path } of files) hash.update(await this.#environment.fileSystem.readFile(path));
      if (handle.log === undefined) continue;
      const log = await openLog({
        storage: this.#storage,
        pool: this.#pool!,
        environment: this.#environment,
        directory: FETCHED,
        handle,
        keyGroups: handle.keyGroups,
      });
      for await (const { rows } of log) hash.update(rows);
    }
    return hash.digest("hex");
  }

  async #fetch(handle: Parameters<typeof openLog>[0]["handle"]): ReturnType<typeof fetchBase> {
    const { fileSystem } = this.#environment;
    await fileSystem.removeTree(FETCHED);
    await fileSystem.makeDirectory(FETCHED);
    return fetchBase({
      storage: this.#storage,
      pool: this.#pool!,
      environment: this.#environment,
      base: handle.base,
      directory: FETCHED,
      localPath: (entry) => `${FETCHED}/${entry.id}`,
      rowsOf: handle,
    });
  }

  async close(): Promise<void> {
    await this.#pool?.close();
  }
}
