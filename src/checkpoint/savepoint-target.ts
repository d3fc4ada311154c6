// The directory that a savepoint is written to: a checkpoint storage with one checkpoint and no hint.
// Page: docs/formats/savepoint.md.
//   P1. The directory is the savepoint's alone: it does not exist before, or holds nothing.
//   P2. Metadata comes last, by create-if-absent: before it there is no savepoint, after it a whole one.
//   P3. Clean-up removes only objects of this attempt, and files only once it is certain that no
//       metadata names them.
import { join } from "node:path";
import type { CheckpointStorage } from "../api/checkpoint-storage.ts";
import type { Environment } from "../api/environment.ts";
import type { JsonValue, SavepointFormat, SnapshotResult } from "../api/keyed-state-backend.ts";
import { systemCodeOf, typedFileError } from "../environment/typed-error.ts";
import { InvalidArgumentError } from "../errors.ts";
import { loadFrameChecksum } from "../format/frame-checksum.ts";
import { toHex } from "../format/hex.ts";
import { METADATA_BYTES_MAX, decodeMetadata, encodeMetadata } from "../format/metadata.ts";
import type { BackendKind } from "../format/metadata.ts";
import { markSavepoint } from "../format/savepoint.ts";
import type { FileSink } from "./base-writer.ts";
import { fileSystemStorage } from "./file-system-storage.ts";
import { FILES_PREFIX, METADATA_PREFIX, metadataName } from "./layout.ts";
import { isTemporaryName } from "./temporary-files.ts";

/** Completion number of the one checkpoint. */
const NUMBER = 1;

export interface SavepointPlace {
  readonly directory: string;
  readonly transfer: "link" | "copy";
  readonly environment: Environment;
  /** The job's own storage, which must be elsewhere. */
  readonly ownStorage: CheckpointStorage;
}

export interface SavepointContent {
  readonly checkpointId: number;
  readonly format: SavepointFormat;
  readonly backendKind: BackendKind;
  readonly snapshot: SnapshotResult;
  readonly userMetadata: JsonValue | undefined;
}

export class SavepointTarget {
  /** For all files of the savepoint. What is put here goes if it is abandoned. */
  readonly sink: FileSink;
  readonly #storage: CheckpointStorage;
  readonly #environment: Environment;
  readonly #names = new Set<string>();
  /** What may have become visible. */
  #metadata: Uint8Array | undefined = undefined;

  private constructor(storage: CheckpointStorage, environment: Environment) {
    this.#storage = storage;
    this.#environment = environment;
    this.sink = {
      putFile: (name, localPath, options) => {
        this.#names.add(name);
        return storage.putFile(name, localPath, options);
      },
      putBytes: (name, bytes, options) => {
        this.#names.add(name);
        return storage.putBytes(name, bytes, options);
      },
    };
  }

  /** InvalidArgumentError if the directory holds anything (P1). */
  static async open(place: SavepointPlace): Promise<SavepointTarget> {
    const { directory, transfer, environment, ownStorage } = place;
    const storage = fileSystemStorage(directory, { transfer }, environment);
    if (storage.description === ownStorage.description) {
      throw new InvalidArgumentError(
        `savepoint: ${directory} is the checkpointStorage: a savepoint takes a directory of its own`,
      );
    }
    await requireEmpty(directory, environment);
    await storage.open();
    return new SavepointTarget(ownStorage.protect?.(storage) ?? storage, environment);
  }

  /** Makes the savepoint exist (P2). All its files are durable. */
  async commit(content: SavepointContent): Promise<void> {
    const bytes = await this.#encode(content);
    this.#metadata = bytes;
    const outcome = await this.#storage.createIfAbsent(metadataName(NUMBER), bytes);
    if (outcome === "created") return;
    this.#metadata = undefined; // Another one's.
    throw new InvalidArgumentError(
      `savepoint: another savepoint was written to ${this.#storage.description} meanwhile`,
    );
  }

  /** Removes what this attempt has made, as far as that is possible. Never rejects (P3). */
  async abandon(): Promise<void> {
    try {
      if (this.#metadata !== undefined) await this.#removeMetadata(this.#metadata);
      await this.#storage.delete([...this.#names]);
    } catch {
      // The failure that brought us here is the one to report; files without metadata are nothing.
    }
  }

  async #removeMetadata(bytes: Uint8Array): Promise<void> {
    const name = metadataName(NUMBER);
    const stored = await this.#storage.read(name, METADATA_BYTES_MAX);
    if (stored === undefined || Buffer.compare(stored, bytes) !== 0) return;
    await this.#storage.delete([name]);
  }

  async #encode(content: SavepointContent): Promise<Uint8Array> {
    const { clock, random } = this.#environment;
    const { checkpointId, format, backendKind, snapshot, userMetadata } = content;
    const checksum = await loadFrameChecksum();
    const bytes = encodeMetadata(
      {
        checkpointId,
        completionNumber: NUMBER,
        oldestRetained: NUMBER,
        writerEpoch: { id: toHex(random.bytes(16)), number: 1 },
        createdAtMs: Math.max(0, Math.floor(clock.wallMs())),
        policy: "full",
        backendKind,
        handles: [snapshot.handle],
        segments: [],
        userMetadata,
        extensions: markSavepoint(format),
      },
      checksum,
    );
    // In pairs: metadata that a reader would refuse must never be stored.
    decodeMetadata(bytes, checksum, "the metadata to be written");
    return bytes;
  }
}

/** Also passes what an attempt that failed has left: its folders, without objects. */
async function requireEmpty(directory: string, environment: Environment): Promise<void> {
  const { fileSystem } = environment;
  const isFolder = (name: string): boolean => [FILES_PREFIX, METADATA_PREFIX].includes(`${name}/`);
  try {
    for (const name of await fileSystem.readDirectory(directory)) {
      const path = join(directory, name);
      const isEmptyFolder =
        isFolder(name) &&
        (await fileSystem.stat(path))?.kind === "directory" &&
        (await fileSystem.readDirectory(path)).every(isTemporaryName);
      if (isEmptyFolder) continue;
      throw new InvalidArgumentError(
        `savepoint: ${directory} is not empty: name a directory that does not exist`,
      );
    }
  } catch (cause) {
    if (systemCodeOf(cause) === "ENOENT") return;
    throw typedFileError(`look into ${directory}`, cause);
  }
}
