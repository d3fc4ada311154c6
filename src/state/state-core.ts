// What all states of one backend share, and the base of their classes.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Key, State } from "../api/state.ts";
import { InvalidArgumentError } from "../errors.ts";
import { ROW_VALUE_BYTES_MAX } from "../format/row-record.ts";
import type { WriteBuffer } from "../memory/write-buffer.ts";
import type { ScratchSink } from "./byte-sink.ts";
import type { ScratchSource } from "./byte-source.ts";
import { type KeyContext, encodeNamespace } from "./key-context.ts";
import { RowAddress } from "./row-address.ts";

/** What states need of the backend that has them. */
export interface StateHost {
  readonly context: KeyContext;
  readonly buffer: WriteBuffer;
  readonly sink: ScratchSink;
  /** For map keys, which are in use while a value is being written. */
  readonly keySink: ScratchSink;
  /** Reads from the arena. */
  readonly source: ScratchSource;
  /** Change number = this + generation. */
  readonly changeNumberBase: number;
  /** Keys with a root row in the state, as of now. */
  scanKeys(schema: StateSchema, namespace: Uint8Array | undefined): AsyncIterableIterator<Key>;
}

/** Refuses a value that does not fit a row, before anything was changed. */
export function checkValueBytes(name: string, bytes: number): void {
  if (bytes <= ROW_VALUE_BYTES_MAX) return;
  throw new InvalidArgumentError(
    `a value of state "${name}" takes ${bytes} bytes serialized; the limit is ${ROW_VALUE_BYTES_MAX}`,
  );
}

export abstract class BufferedState implements State {
  readonly name: string;
  readonly schema: StateSchema;
  protected readonly host: StateHost;
  protected readonly address: RowAddress;
  protected readonly buffer: WriteBuffer;

  constructor(host: StateHost, schema: StateSchema) {
    this.name = schema.name;
    this.schema = schema;
    this.host = host;
    this.buffer = host.buffer;
    this.address = new RowAddress(host.context, schema.name, schema.id, schema.namespaces);
  }

  abstract clear(): void;

  setCurrentNamespace(namespace: Key): void {
    this.address.setNamespace(namespace);
  }

  keys(namespace?: Key): AsyncIterableIterator<Key> {
    const { address } = this;
    if (!address.hasNamespaces) {
      if (namespace !== undefined) address.setNamespace(namespace); // Throws: there are none.
      return this.host.scanKeys(this.schema, undefined);
    }
    if (namespace === undefined) {
      throw new InvalidArgumentError(`state "${this.name}" has namespaces: keys() needs one`);
    }
    const before = address.namespace;
    address.setNamespace(namespace);
    const encoded = address.namespace;
    address.restoreNamespace(before);
    return this.host.scanKeys(this.schema, encoded);
  }

  /**
   * Moves what the sources have to the target: `collect` runs in each source's namespace, `store`
   * in the target's, and only then are the sources cleared. A source equal to the target, or named
   * twice, counts once.
   */
  protected merge(
    target: Key,
    sources: Iterable<Key>,
    collect: () => void,
    store: () => void,
  ): void {
    const { address } = this;
    const before = address.namespace;
    address.setNamespace(target); // Throws if the state has no namespaces.
    const targetBytes = encodeNamespace(target);
    const distinct = new Map<string, Uint8Array>();
    for (const source of sources) {
      const encoded = encodeNamespace(source);
      if (Buffer.compare(encoded, targetBytes) === 0) continue;
      distinct.set(Buffer.from(encoded).toString("latin1"), encoded);
    }
    try {
      for (const source of distinct.values()) {
        address.restoreNamespace(source);
        collect();
      }
      address.restoreNamespace(targetBytes);
      store();
      for (const source of distinct.values()) {
        address.restoreNamespace(source);
        this.clear();
      }
    } finally {
      address.restoreNamespace(before);
    }
  }

  protected refuseUndefined(value: unknown, remedy: string): void {
    if (value === undefined) {
      throw new InvalidArgumentError(`state "${this.name}" cannot hold undefined: ${remedy}`);
    }
  }
}
