// A state under another serializer, name, or not at all: what a conversion does to its rows.
//   C1. The serializers it was written with are those whose fingerprints are stored: named by the
//       caller or built in, never guessed.
//   C2. What is written has the form that the state itself would write (docs/formats/row.md).
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Serializer } from "../api/serializer.ts";
import { varintBytes, writeVarint } from "../common/varint.ts";
import {
  CorruptionError,
  IncompatibleSerializerError,
  InvalidArgumentError,
  UnsupportedFormatError,
} from "../errors.ts";
import { KEY_PAYLOAD_BYTES_MAX } from "../format/key-codec.ts";
import { listRows } from "../format/list-row.ts";
import { entryBytes, writeEntry } from "../format/map-row.ts";
import { mapRows } from "../format/map-tree.ts";
import { ROW_VALUE_BYTES_MAX } from "../format/row-record.ts";
import { RowKind } from "../format/row-value.ts";
import { ScratchSink, wrongLength } from "../state/byte-sink.ts";
import type { EntryDecoder } from "./entry-decoder.ts";
import type { AnySerializer } from "./fingerprint.ts";
import { jsonOf } from "./json-text.ts";
import { type StateRecord, contentKind } from "./record-reader.ts";

/** Serializers by their places in a state's descriptor. */
export interface SerializerParts {
  /** Of value and reducing states; of maps, of their values. */
  readonly value?: AnySerializer | undefined;
  readonly element?: AnySerializer | undefined;
  readonly key?: AnySerializer | undefined;
  readonly accumulator?: AnySerializer | undefined;
}

export interface StateChange {
  /** Leaves the state out. Nothing else can be said of it then. */
  readonly drop?: boolean | undefined;
  /** What the state is called from now on. */
  readonly rename?: string | undefined;
  /**
   * What it was written with. Its fingerprints must be the stored ones.
   * @defaultValue by the stored fingerprints, where built in or given as `serializers`
   */
  readonly from?: SerializerParts | undefined;
  /** What it is written with. Places that are left out stay as they are. @defaultValue as before */
  readonly to?: SerializerParts | undefined;
  /**
   * Makes the new value of each old one: of values and accumulators, of each element of a list, of
   * each value of a map, whose key comes second. Not undefined.
   */
  map?(value: unknown, key: unknown): unknown;
  /** Makes the new key of each old key of a map. No two may become the same. */
  mapKey?(key: unknown): unknown;
}

export type StateChanges = Readonly<Record<string, StateChange>>;

/** Places of serializers in the order in which a schema has them. */
const places: Readonly<Record<StateSchema["type"], readonly (keyof SerializerParts)[]>> = {
  value: ["value"],
  reducing: ["value"],
  list: ["element"],
  map: ["key", "value"],
  aggregating: ["accumulator"],
};

/** The serializers of `parts` for a state, by place; undefined where none is given. */
export function serializersOf(
  { name, type }: StateSchema,
  parts: SerializerParts | undefined,
  option: string,
): readonly (AnySerializer | undefined)[] {
  const own = places[type];
  if (parts === undefined) return own.map(() => undefined);
  if (typeof parts !== "object" || parts === null) {
    throw new InvalidArgumentError(`state "${name}": ${option} is an object of serializers`);
  }
  for (const [place, value] of Object.entries(parts) as [keyof SerializerParts, unknown][]) {
    if (!own.includes(place)) {
      const list = own.join(", ");
      throw new InvalidArgumentError(
        `state "${name}": ${option}.${place} is not of a ${type} state, which has ${list}`,
      );
    }
    if (value !== undefined) requireSerializer(name, `${option}.${place}`, value);
  }
  return own.map((place) => parts[place]);
}

function requireSerializer(state: string, what: string, value: unknown): void {
  const serializer = value as Partial<Serializer<unknown>> | null;
  const isSerializer =
    typeof serializer === "object" &&
    serializer !== null &&
    typeof serializer.serialize === "function" &&
    typeof serializer.deserialize === "function" &&
    typeof serializer.fingerprint === "string" &&
    serializer.fingerprint.length >= 1 &&
    serializer.fingerprint.length <= 1024;
  if (isSerializer) return;
  throw new InvalidArgumentError(`state "${state}": ${what} must be a serializer`);
}

/** C1 */
export function requireStored(
  schema: StateSchema,
  from: readonly (AnySerializer | undefined)[],
): void {
  for (const [index, serializer] of from.entries()) {
    const stored = schema.serializers[index]!;
    if (serializer === undefined || serializer.fingerprint === stored) continue;
    throw new IncompatibleSerializerError(schema.name, stored, serializer.fingerprint);
  }
}

/** A root row, and those of its chunks or nodes by their numbers. */
export interface ChangedRows {
  readonly root: Uint8Array;
  readonly nodes: readonly Uint8Array[];
}

export class StateConverter {
  readonly schema: StateSchema;
  readonly #decoder: EntryDecoder;
  readonly #to: readonly AnySerializer[];
  readonly #change: StateChange;
  readonly #sink = new ScratchSink();
  readonly #keySink = new ScratchSink();

  /** `to`: by place. The decoder knows all serializers of the state. */
  constructor(
    schema: StateSchema,
    decoder: EntryDecoder,
    to: readonly AnySerializer[],
    change: StateChange,
  ) {
    this.schema = schema;
    this.#decoder = decoder;
    this.#to = to;
    this.#change = change;
  }

  /** The new rows of what a key has. `changeNumber`: of the newest change in the source. */
  rows(record: StateRecord, changeNumber: number): ChangedRows {
    const { value } = this.#decoder.decode(record);
    try {
      switch (contentKind(this.schema)) {
        case "list":
          return this.#list(value as readonly unknown[], changeNumber);
        case "map":
          return mapRows(this.#entries(value as readonly (readonly [unknown, unknown])[]));
        case "value":
          return { root: this.#value(value), nodes: [] };
      }
    } catch (cause) {
      throw this.#located(cause, record);
    }
  }

  #value(old: unknown): Uint8Array {
    const sink = this.#encoded(this.#mapped(old, undefined), this.#to[0]!);
    this.#requireFit(sink.length);
    const row = new Uint8Array(1 + sink.length);
    row[0] = RowKind.value;
    row.set(sink.written(), 1);
    return row;
  }

  #list(old: readonly unknown[], changeNumber: number): ChangedRows {
    const parts: Uint8Array[] = [];
    for (const element of old) {
      const sink = this.#encoded(this.#mapped(element, undefined), this.#to[0]!);
      this.#requireFit(sink.length + 16);
      const prefix = varintBytes(sink.length);
      const part = new Uint8Array(prefix + sink.length);
      writeVarint(part, 0, sink.length);
      part.set(sink.written(), prefix);
      parts.push(part);
    }
    const { root, chunks } = listRows(changeNumber, Buffer.concat(parts));
    return { root, nodes: chunks.map(({ row }) => row) };
  }

  #entries(old: readonly (readonly [unknown, unknown])[]): Uint8Array {
    const [keySerializer, valueSerializer] = this.#to;
    const ordered = keySerializer!.ordered ?? keySerializer!;
    const entries = old.map(([oldKey, oldValue]) => {
      const newKey = this.#change.mapKey === undefined ? oldKey : this.#change.mapKey(oldKey);
      if (newKey === undefined) throw new InvalidArgumentError("a map key cannot be undefined");
      this.#keySink.reset();
      ordered.serialize(newKey, this.#keySink);
      const key = this.#keySink.written().slice();
      if (key.length > KEY_PAYLOAD_BYTES_MAX) {
        throw new InvalidArgumentError(
          `a map key takes ${key.length} bytes; the limit is ${KEY_PAYLOAD_BYTES_MAX}`,
        );
      }
      const value = this.#encoded(this.#mapped(oldValue, oldKey), valueSerializer!);
      this.#requireFit(key.length + value.length + 16);
      return { key, value: value.written().slice() };
    });
    entries.sort((a, b) => Buffer.compare(a.key, b.key));
    const bytes = entries.map(({ key, value }, index) => {
      const before = entries[index - 1];
      if (before !== undefined && Buffer.compare(before.key, key) === 0) {
        throw new InvalidArgumentError("two keys of a map become the same");
      }
      const entry = new Uint8Array(entryBytes(key.length, value.length));
      writeEntry(entry, 0, key, key.length, value, value.length);
      return entry;
    });
    return Buffer.concat(bytes);
  }

  #mapped(value: unknown, key: unknown): unknown {
    const mapped = this.#change.map === undefined ? value : this.#change.map(value, key);
    if (mapped !== undefined) return mapped;
    throw new InvalidArgumentError("a value cannot be undefined");
  }

  #encoded(value: unknown, serializer: AnySerializer): ScratchSink {
    const sink = this.#sink;
    sink.reset();
    serializer.serialize(value, sink);
    const { fixedBytes, fingerprint } = serializer;
    if (fixedBytes !== undefined && fixedBytes !== sink.length) throw wrongLength(fingerprint);
    return sink;
  }

  #requireFit(bytes: number): void {
    if (bytes <= ROW_VALUE_BYTES_MAX) return;
    throw new InvalidArgumentError(
      `a value takes ${bytes} bytes serialized; the limit is ${ROW_VALUE_BYTES_MAX}`,
    );
  }

  /** Whatever the caller's functions throw is about what they were given. */
  #located(cause: unknown, record: StateRecord): unknown {
    if (cause instanceof CorruptionError || cause instanceof UnsupportedFormatError) return cause;
    const { key, namespace } = this.#decoder.keyOf(record);
    const of = namespace === undefined ? "" : `, namespace ${jsonOf(namespace)}`;
    const where = `state ${JSON.stringify(this.schema.name)}, key ${jsonOf(key)}${of}`;
    const message = cause instanceof Error ? cause.message : String(cause);
    return new InvalidArgumentError(`${where}: ${message}`, { cause });
  }
}
