// Records as keys and values, by the serializers whose fingerprints are stored with the state.
//   E1. What no serializer is known for is given as its bytes, and said to be.
//   E2. Decoded values share nothing with the bytes they came from, and raw ones are copies.
import type { StateSchema } from "../api/keyed-state-backend.ts";
import type { Serializer } from "../api/serializer.ts";
import type { Key } from "../api/state.ts";
import { readVarint } from "../common/varint.ts";
import { CorruptionError } from "../errors.ts";
import { KEY_TAG_OFFSET, decodeKey } from "../format/key-codec.ts";
import { EntryPosition, readEntry } from "../format/map-row.ts";
import { ScratchSource } from "../state/byte-source.ts";
import type { AnySerializer, FingerprintReader } from "./fingerprint.ts";
import type { StateRecord } from "./record-reader.ts";

/** What a key has in a state. */
export interface StoredEntry {
  readonly state: string;
  readonly keyGroup: number;
  readonly key: Key;
  /** Undefined in states without namespaces. */
  readonly namespace: Key | undefined;
  /** Value or accumulator; an array of elements; an array of `[key, value]`. */
  readonly value: unknown;
  /** False if a serializer is unknown: what it wrote is given as a Uint8Array. */
  readonly isDecoded: boolean;
}

export interface RecordKey {
  readonly key: Key;
  readonly namespace: Key | undefined;
}

type Reader = Pick<Serializer<unknown>, "deserialize"> | undefined;

export class EntryDecoder {
  readonly schema: StateSchema;
  /** Whether all of the state's serializers are known. */
  readonly isDecodable: boolean;
  /** For each serializer: names of its fields if it is of a struct. */
  readonly fields: readonly (readonly string[] | undefined)[];
  readonly #readers: readonly Reader[];

  constructor(schema: StateSchema, fingerprints: FingerprintReader) {
    this.schema = schema;
    const found = schema.serializers.map((fingerprint) => fingerprints.read(fingerprint));
    this.isDecodable = found.every((serializer) => serializer !== undefined);
    this.fields = schema.serializers.map((fingerprint) => fingerprints.fieldsOf(fingerprint));
    this.#readers = schema.type === "map" ? [orderedForm(found[0]), found[1]] : found;
  }

  keyOf({ rootKey }: StateRecord): RecordKey {
    const cursor = { offset: KEY_TAG_OFFSET };
    const key = decodeKey(rootKey, cursor);
    const namespace = this.schema.namespaces ? decodeKey(rootKey, cursor) : undefined;
    if (cursor.offset === rootKey.length) return { key, namespace };
    throw new CorruptionError("a row key has parts that its state does not", "row key", 0);
  }

  /** Tag and payload of the record's namespace; no bytes in a state without. */
  namespaceOf({ rootKey }: StateRecord): Uint8Array {
    const cursor = { offset: KEY_TAG_OFFSET };
    decodeKey(rootKey, cursor);
    return rootKey.subarray(cursor.offset);
  }

  decode(record: StateRecord): StoredEntry {
    try {
      const { key, namespace } = this.keyOf(record);
      const { name } = this.schema;
      return {
        state: name,
        keyGroup: record.keyGroup,
        key,
        namespace,
        value: this.#value(record),
        isDecoded: this.isDecodable,
      };
    } catch (cause) {
      throw this.#located(cause, record);
    }
  }

  #value({ kind, parts }: StateRecord): unknown {
    const [first, second] = this.#readers;
    if (kind === "value") return read(first, new ScratchSource(parts[0]!), 0, parts[0]!.length);
    if (kind === "list") return parts.flatMap((part) => elements(part, first));
    return entries(parts, first, second);
  }

  #located(cause: unknown, { keyGroup, rootKey }: StateRecord): unknown {
    if (!(cause instanceof CorruptionError)) return cause;
    const row = Buffer.from(rootKey).toString("hex");
    const where = `state ${JSON.stringify(this.schema.name)}, key group ${keyGroup}, row ${row}`;
    const { message, file, offsetBytes } = cause;
    return new CorruptionError(`${where}: ${message}`, file, offsetBytes, { cause });
  }
}

function orderedForm(serializer: AnySerializer | undefined): Reader {
  return serializer?.ordered ?? serializer;
}

/** The value in these bytes, all of them. */
function read(reader: Reader, source: ScratchSource, offset: number, length: number): unknown {
  source.seek(offset, length);
  if (reader === undefined) return source.bytes(length); // E1
  const value = reader.deserialize(source);
  if (source.remaining === 0) return value;
  throw new CorruptionError("bytes follow a serialized value", "value", source.offset);
}

function elements(part: Uint8Array, reader: Reader): unknown[] {
  const source = new ScratchSource(part);
  const cursor = { offset: 0 };
  const values: unknown[] = [];
  while (cursor.offset < part.length) {
    const length = readVarint(part, cursor, part.length);
    if (cursor.offset + length > part.length) {
      throw new CorruptionError("a list element is cut", "row", cursor.offset);
    }
    values.push(read(reader, source, cursor.offset, length));
    cursor.offset += length;
  }
  return values;
}

/** Keys ascend over all parts of a map: a job that iterates it refuses any other. */
function entries(parts: readonly Uint8Array[], key: Reader, value: Reader): [unknown, unknown][] {
  const entry = new EntryPosition();
  const pairs: [unknown, unknown][] = [];
  let before: Uint8Array | undefined;
  for (const part of parts) {
    const source = new ScratchSource(part);
    for (let at = 0; at < part.length; at = entry.end) {
      readEntry(part, at, part.length, entry);
      const { keyOffset, keyBytes, valueOffset, valueBytes } = entry;
      const own = part.subarray(keyOffset, keyOffset + keyBytes);
      if (before !== undefined && Buffer.compare(before, own) >= 0) {
        throw new CorruptionError("keys of a map do not ascend", "row", at);
      }
      before = own;
      pairs.push([
        read(key, source, keyOffset, keyBytes),
        read(value, source, valueOffset, valueBytes),
      ]);
    }
  }
  return pairs;
}
