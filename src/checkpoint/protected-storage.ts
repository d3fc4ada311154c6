// A checkpoint storage whose objects only holders of a key can make, or read, on top of another one.
// Page: docs/formats/protected-object.md.
//   K1. Mode "authenticate" protects what is not below files/: files are named with their SHA-256 there.
//   K2. Keys are nowhere but in private fields: no error, description or inspection shows them.
import type { CheckpointStorage, PutOptions, StorageStats } from "../api/checkpoint-storage.ts";
import type { Environment, ReadableFile, WritableFile } from "../api/environment.ts";
import { refuseUnknownOptions } from "../common/options.ts";
import { nodeEnvironment } from "../environment/node-environment.ts";
import { typedFileError } from "../environment/typed-error.ts";
import { InvalidArgumentError, StorageError } from "../errors.ts";
import {
  CHUNK_PLAIN_BYTES,
  CHUNK_STORED_BYTES,
  ObjectCipher,
  PROTECTED_HEADER_BYTES,
  PROTECTION_KEY_BYTES,
  type ProtectionKey,
  SALT_BYTES,
  authenticate,
  authenticated,
  chunkCount,
  decryptObject,
  encryptObject,
  plainLength,
} from "../format/protected-object.ts";
import { FILES_PREFIX } from "./layout.ts";

export type { ProtectionKey } from "../format/protected-object.ts";

export interface ProtectionOptions {
  /**
   * `authenticate`: metadata carries a MAC, so that nobody without a key can forge or exchange a
   * checkpoint; files stay as they are, and are still linked. `encrypt`: every object is encrypted and
   * authenticated with AES-256-GCM; files are copied, and each checkpoint of policy "changelog" is an
   * object of its own.
   */
  readonly mode: "authenticate" | "encrypt";
  /** The first is for writing, all are for reading: 1 to 16. */
  readonly keys: readonly ProtectionKey[];
}

const keysMax = 16;
const keyIdPattern = /^[a-z0-9-]{1,64}$/;

/**
 * The same storage, protected. Keep its keys elsewhere: without them nothing can be restored. What
 * `resolvePath` and savepoints of a backend lead to has the same protection. Throws
 * InvalidArgumentError for keys that are none. `environment` is for tests.
 */
export function protectedStorage(
  storage: CheckpointStorage,
  options: ProtectionOptions,
  environment: Environment = nodeEnvironment(),
): CheckpointStorage {
  refuseUnknownOptions("protectedStorage", options, ["mode", "keys"]);
  const { mode } = options;
  const keys = checkedKeys(options.keys);
  if (mode === "authenticate") return new AuthenticatedStorage(storage, keys);
  if (mode === "encrypt") return new EncryptedStorage(storage, keys, environment);
  throw new InvalidArgumentError(
    `protectedStorage: mode must be "authenticate" or "encrypt", got ${JSON.stringify(mode)}`,
  );
}

/** Copies, so that a caller may wipe its own. No message shows a key (K2). */
function checkedKeys(keys: readonly ProtectionKey[]): readonly ProtectionKey[] {
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > keysMax) {
    throw new InvalidArgumentError(`protectedStorage: keys must be 1 to ${keysMax}`);
  }
  const ids = new Set<string>();
  for (const { id, key } of keys as readonly ProtectionKey[]) {
    if (typeof id !== "string" || !keyIdPattern.test(id) || ids.has(id)) {
      throw new InvalidArgumentError(
        "protectedStorage: the id of a key is 1 to 64 characters of [a-z0-9-], each id once",
      );
    }
    ids.add(id);
    if (key instanceof Uint8Array && key.length === PROTECTION_KEY_BYTES) continue;
    throw new InvalidArgumentError(
      `protectedStorage: key "${id}" must be a Uint8Array of ${PROTECTION_KEY_BYTES} bytes`,
    );
  }
  return keys.map(({ id, key }) => ({ id, key: key.slice() }));
}

/** What both modes have in common. */
abstract class ProtectedStorage {
  readonly description: string;
  protected readonly storage: CheckpointStorage;
  readonly #keys: readonly ProtectionKey[];
  readonly removeUnfinished?: () => Promise<void>;
  readonly resolvePath?: NonNullable<CheckpointStorage["resolvePath"]>;
  readonly locate?: (name: string) => string;

  constructor(storage: CheckpointStorage, keys: readonly ProtectionKey[]) {
    this.description = storage.description;
    this.storage = storage;
    this.#keys = keys;
    // What the inner one does not have, this one has not either.
    if ("removeUnfinished" in storage) this.removeUnfinished = () => storage.removeUnfinished!();
    if ("locate" in storage) this.locate = (name) => storage.locate!(name);
    if (!("resolvePath" in storage)) return;
    this.resolvePath = (path) => {
      const resolved = storage.resolvePath!(path);
      return { storage: this.protect(resolved.storage), name: resolved.name };
    };
  }

  protected keys(): readonly ProtectionKey[] {
    return this.#keys;
  }

  abstract protect(storage: CheckpointStorage): CheckpointStorage;

  /** The object that is stored for these bytes. */
  protected abstract sealed(name: string, bytes: Uint8Array): Uint8Array;

  putBytes(name: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    return this.storage.putBytes(name, this.sealed(name, bytes), options);
  }

  createIfAbsent(name: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    return this.storage.createIfAbsent(name, this.sealed(name, bytes));
  }

  replace(name: string, bytes: Uint8Array): Promise<void> {
    return this.storage.replace(name, this.sealed(name, bytes));
  }

  open(): Promise<void> {
    return this.storage.open();
  }

  delete(names: readonly string[]): Promise<void> {
    return this.storage.delete(names);
  }

  list(prefix: string): AsyncIterable<string> {
    return this.storage.list(prefix);
  }

  stats(): StorageStats {
    return this.storage.stats();
  }
}

class AuthenticatedStorage extends ProtectedStorage implements CheckpointStorage {
  readonly pathForAppending?: (name: string) => Promise<string>;
  readonly canLink?: (name: string, directory: string) => Promise<boolean>;

  constructor(storage: CheckpointStorage, keys: readonly ProtectionKey[]) {
    super(storage, keys);
    if ("pathForAppending" in storage) this.pathForAppending = (n) => storage.pathForAppending!(n);
    if ("canLink" in storage) this.canLink = (n, directory) => storage.canLink!(n, directory);
  }

  protect(storage: CheckpointStorage): CheckpointStorage {
    return new AuthenticatedStorage(storage, this.keys());
  }

  putFile(name: string, localPath: string, options?: PutOptions): Promise<void> {
    if (isFile(name)) return this.storage.putFile(name, localPath, options);
    throw new InvalidArgumentError(`${name}: only what is below ${FILES_PREFIX} is put as a file`);
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    if (isFile(name)) return this.storage.read(name, maxBytes);
    const object = await this.storage.read(name, maxBytes + PROTECTED_HEADER_BYTES);
    return object === undefined ? undefined : authenticated(object, name, this.keys());
  }

  async readRange(name: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    if (isFile(name)) return this.storage.readRange(name, offset, length);
    // A MAC is over all of it, and metadata and hints are short.
    const content = await this.read(name, Number.MAX_SAFE_INTEGER - PROTECTED_HEADER_BYTES);
    return content?.subarray(offset, offset + length);
  }

  async size(name: string): Promise<number | undefined> {
    const size = await this.storage.size(name);
    if (size === undefined || isFile(name)) return size;
    return Math.max(0, size - PROTECTED_HEADER_BYTES);
  }

  fetchFile(name: string, localPath: string, options?: PutOptions): Promise<void> {
    if (isFile(name)) return this.storage.fetchFile(name, localPath, options);
    throw new InvalidArgumentError(`${name}: only what is below ${FILES_PREFIX} is fetched`);
  }

  /** K1 */
  protected sealed(name: string, bytes: Uint8Array): Uint8Array {
    return isFile(name) ? bytes : authenticate(bytes, name, this.keys()[0]!);
  }
}

function isFile(name: string): boolean {
  return name.startsWith(FILES_PREFIX);
}

class EncryptedStorage extends ProtectedStorage implements CheckpointStorage {
  readonly #environment: Environment;

  constructor(
    storage: CheckpointStorage,
    keys: readonly ProtectionKey[],
    environment: Environment,
  ) {
    super(storage, keys);
    this.#environment = environment;
  }

  protect(storage: CheckpointStorage): CheckpointStorage {
    return new EncryptedStorage(storage, this.keys(), this.#environment);
  }

  async putFile(name: string, localPath: string, options?: PutOptions): Promise<void> {
    const sealed = `${localPath}.sealed`;
    await this.#throughFile(sealed, async () => {
      await this.#encryptFile(name, localPath, sealed, options?.signal);
      await this.storage.putFile(name, sealed, options);
    });
  }

  async read(name: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const storedMax = PROTECTED_HEADER_BYTES + chunkCount(maxBytes) * 16 + maxBytes;
    const object = await this.storage.read(name, storedMax);
    return object === undefined ? undefined : decryptObject(object, name, this.keys());
  }

  async readRange(name: string, offset: number, length: number): Promise<Uint8Array | undefined> {
    const storedBytes = await this.storage.size(name);
    const header = await this.storage.readRange(name, 0, PROTECTED_HEADER_BYTES);
    if (storedBytes === undefined || header === undefined) return undefined;
    const cipher = ObjectCipher.open(header, name, this.keys());
    const plainBytes = plainLength(storedBytes, name);
    const end = Math.min(plainBytes, offset + length);
    if (end <= offset) return new Uint8Array(0);
    const first = Math.floor(offset / CHUNK_PLAIN_BYTES);
    const last = Math.floor((end - 1) / CHUNK_PLAIN_BYTES);
    const from = PROTECTED_HEADER_BYTES + first * CHUNK_STORED_BYTES;
    const stored = await this.storage.readRange(
      name,
      from,
      (last - first + 1) * CHUNK_STORED_BYTES,
    );
    if (stored === undefined) return undefined;
    const chunks = chunkCount(plainBytes);
    const parts: Uint8Array[] = [];
    for (let number = first; number <= last; number++) {
      const at = (number - first) * CHUNK_STORED_BYTES;
      const chunk = stored.subarray(at, at + CHUNK_STORED_BYTES);
      parts.push(cipher.decrypt(chunk, number, number === chunks - 1));
    }
    const start = offset - first * CHUNK_PLAIN_BYTES;
    return new Uint8Array(Buffer.concat(parts).subarray(start, start + end - offset));
  }

  async size(name: string): Promise<number | undefined> {
    const size = await this.storage.size(name);
    return size === undefined ? undefined : plainLength(size, name);
  }

  async fetchFile(name: string, localPath: string, options?: PutOptions): Promise<void> {
    const sealed = `${localPath}.sealed`;
    await this.#throughFile(sealed, async () => {
      await this.storage.fetchFile(name, sealed, options);
      await this.#decryptFile(name, sealed, localPath, options?.signal);
    });
  }

  protected sealed(name: string, bytes: Uint8Array): Uint8Array {
    return encryptObject(bytes, this.#newCipher(name));
  }

  #newCipher(name: string): ObjectCipher {
    const salt = this.#environment.random.bytes(SALT_BYTES);
    return ObjectCipher.create(name, this.keys()[0]!, salt);
  }

  /** Removes the file between also after a failure. */
  async #throughFile(path: string, body: () => Promise<void>): Promise<void> {
    const { fileSystem } = this.#environment;
    try {
      await body();
    } finally {
      if ((await fileSystem.stat(path)) !== undefined) await fileSystem.unlink(path);
    }
  }

  async #encryptFile(
    name: string,
    localPath: string,
    target: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const cipher = this.#newCipher(name);
    await this.#convert(localPath, target, `encrypt ${localPath}`, signal, async (source, out) => {
      await out.write(cipher.header);
      const chunks = chunkCount(source.sizeBytes);
      for (let number = 0; number < chunks; number++) {
        signal?.throwIfAborted();
        const plain = await source.read(number * CHUNK_PLAIN_BYTES, CHUNK_PLAIN_BYTES);
        const isLast = number === chunks - 1;
        if (!isLast && plain.length !== CHUNK_PLAIN_BYTES) {
          throw new StorageError(`${localPath} became shorter while it was stored`);
        }
        await out.write(cipher.encrypt(plain, number, isLast));
      }
    });
  }

  async #decryptFile(
    name: string,
    sealed: string,
    localPath: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    await this.#convert(sealed, localPath, `decrypt ${name}`, signal, async (source, out) => {
      const header = await source.read(0, PROTECTED_HEADER_BYTES);
      const cipher = ObjectCipher.open(header, name, this.keys());
      const chunks = chunkCount(plainLength(source.sizeBytes, name));
      for (let number = 0; number < chunks; number++) {
        signal?.throwIfAborted();
        const at = PROTECTED_HEADER_BYTES + number * CHUNK_STORED_BYTES;
        const stored = await source.read(at, CHUNK_STORED_BYTES);
        await out.write(cipher.decrypt(stored, number, number === chunks - 1));
      }
    });
  }

  async #convert(
    from: string,
    to: string,
    action: string,
    signal: AbortSignal | undefined,
    body: (source: ReadableFile, out: WritableFile) => Promise<void>,
  ): Promise<void> {
    const { fileSystem } = this.#environment;
    signal?.throwIfAborted();
    try {
      const source = await fileSystem.open(from);
      try {
        const out = await fileSystem.create(to);
        try {
          await body(source, out);
        } finally {
          await out.close();
        }
      } finally {
        await source.close();
      }
    } catch (cause) {
      signal?.throwIfAborted();
      throw typedFileError(action, cause);
    }
  }
}
