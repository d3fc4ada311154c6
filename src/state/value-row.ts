// One value per key and namespace: the row behind value, reducing and aggregating state. Hot.
// Guarded by bench/state. f64 and i64 are written straight into the record; others through the sink.
import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { CHUNK_UNITS_SHIFT, RecordFlag } from "../format/row-record.ts";
import { RowKind } from "../format/row-value.ts";
import type { Epochs } from "../memory/epochs.ts";
import { findShortReference } from "../memory/row-index.ts";
import { Counter } from "../memory/write-buffer.ts";
import { wrongLength } from "./byte-sink.ts";
import type { KeyContext } from "./key-context.ts";
import { spread } from "./row-address.ts";
import { f64, i64 } from "./serializers.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

/** How values are written: in place as a double, in place as two words, or by the serializer. */
const Form = { f64: 1, i64: 2, serialized: 3 } as const;

const TWO_32 = 4_294_967_296;
/** Units from a record to its value if the row key takes 16 bytes. */
const SHORT_VALUE_UNITS = 4;

export abstract class ValueRowState<T> extends BufferedState {
  readonly #serializer: Serializer<T>;
  readonly #form: number;
  readonly #context: KeyContext;
  readonly #epochs: Epochs;
  /** No namespaces: a number key gives the row key without the scratch area. */
  readonly #isDirect: boolean;
  readonly #seed: number;
  readonly #stateHigh: number;
  readonly #stateLow: number;
  // What the last access found: valid while the epoch is the same. #unit is the value's place if it
  // may be overwritten as it is, else 0.
  #epoch = 0;
  #isAbsent = false;
  #unit = 0;

  constructor(host: StateHost, schema: StateSchema, serializer: Serializer<T>) {
    super(host, schema);
    this.#serializer = serializer;
    const isF64 = (serializer as unknown) === f64;
    const isI64 = (serializer as unknown) === i64;
    this.#form = isF64 ? Form.f64 : isI64 ? Form.i64 : Form.serialized;
    this.#context = host.context;
    this.#epochs = host.context.epochs;
    this.#isDirect = !schema.namespaces;
    this.#seed = this.address.seed;
    this.#stateHigh = this.address.stateHigh;
    this.#stateLow = this.address.stateLow;
    this.#epochs.add(this);
  }

  /** Forgets what the last access found. */
  forget(): void {
    this.#epoch = 0;
  }

  protected read(): T | undefined {
    const unit = this.#locate();
    if (unit === 0) return undefined;
    if (this.#form === Form.f64) return this.buffer.f64[unit] as T;
    if (this.#form === Form.i64) {
      const { i32 } = this.buffer;
      return (i32[(unit << 1) + 1]! * TWO_32 + (i32[unit << 1]! >>> 0)) as T;
    }
    return this.#deserialize();
  }

  /** Unit of the value of the current key's row, or 0 if it has none. */
  #locate(): number {
    const reference = this.#findShort();
    if (reference === 0) return this.#locateSlowly();
    const { buffer } = this;
    const flags = buffer.i32[(reference << 1) + 1]!;
    const { ledger } = buffer;
    const generation = ledger.generation[reference >>> CHUNK_UNITS_SHIFT]!;
    if ((flags & RecordFlag.tombstone) !== 0 || generation <= buffer.forwardUpTo) {
      return this.#locateSlowly();
    }
    buffer.counters[Counter.hotReads]!++;
    const unit = reference + SHORT_VALUE_UNITS;
    this.#epoch = this.#epochs.value;
    this.#isAbsent = false;
    this.#unit = generation === ledger.active && (flags & RecordFlag.clean) === 0 ? unit : 0;
    return unit;
  }

  /** The newest record of the row if the key is a number and the row is in the buffer, else 0. */
  #findShort(): number {
    const context = this.#context;
    if (!context.isShort || !this.#isDirect) return 0;
    return findShortReference(
      this.buffer.index,
      this.buffer.i32,
      spread(context.hash ^ this.#seed),
      context.groupWord | this.#stateHigh,
      context.tagWord | this.#stateLow,
      context.high,
      context.low,
    );
  }

  #locateSlowly(): number {
    const { buffer } = this;
    const row = this.address.root();
    const reference = buffer.lookup(row);
    if (reference <= 0) {
      this.#epoch = this.#epochs.value;
      this.#isAbsent = true;
      this.#unit = 0;
      return 0;
    }
    const unit = reference + 2 + ((row.length + 7) >>> 3);
    this.#remember(reference, unit);
    return unit;
  }

  #remember(reference: number, unit: number): void {
    const { buffer } = this;
    const isActive =
      buffer.ledger.generation[reference >>> CHUNK_UNITS_SHIFT] === buffer.ledger.active;
    const isClean = (buffer.i32[(reference << 1) + 1]! & RecordFlag.clean) !== 0;
    this.#epoch = this.#epochs.value;
    this.#isAbsent = false;
    this.#unit = isActive && !isClean ? unit : 0;
  }

  #deserialize(): T {
    const { buffer } = this;
    const reference = buffer.find(this.address.root());
    if (buffer.header(reference) !== RowKind.value) {
      throw new CorruptionError(`a row of state "${this.name}" is not a value`, "row", 0);
    }
    const { source } = this.host;
    source.seek(buffer.valueOffset(reference), buffer.valueBytes(reference));
    const value = this.#serializer.deserialize(source);
    if (source.remaining !== 0) {
      throw new CorruptionError(`a value of state "${this.name}" has bytes left over`, "row", 0);
    }
    return value;
  }

  protected write(value: T): void {
    if (this.#form === Form.serialized) {
      this.#writeSerialized(value);
      return;
    }
    if (typeof value !== "number" || (this.#form === Form.i64 && !Number.isSafeInteger(value))) {
      this.#serializer.serialize(value, this.host.sink); // Throws, with the reason.
    }
    let unit = this.#epoch === this.#epochs.value ? this.#unit : 0;
    if (unit === 0) unit = this.#reserveNumber();
    if (this.#form === Form.f64) {
      this.buffer.f64[unit] = value as number;
      return;
    }
    const { i32 } = this.buffer;
    i32[unit << 1] = value as number;
    i32[(unit << 1) + 1] = Math.floor((value as number) / TWO_32);
  }

  /** Unit of the 8 value bytes of a dirty record of the active generation. */
  #reserveNumber(): number {
    const isAbsent = this.#epoch === this.#epochs.value && this.#isAbsent;
    const found = isAbsent ? 0 : this.#findShort();
    if (found !== 0 && this.#isPlainActive(found)) return found + SHORT_VALUE_UNITS;
    const row = this.address.root();
    const reference = this.buffer.reserve(row, RowKind.value, 8, 8, isAbsent);
    const unit = reference + 2 + ((row.length + 7) >>> 3);
    this.#remember(reference, unit);
    return unit;
  }

  #isPlainActive(reference: number): boolean {
    const { ledger, i32 } = this.buffer;
    return (
      ledger.generation[reference >>> CHUNK_UNITS_SHIFT] === ledger.active &&
      (i32[(reference << 1) + 1]! & (RecordFlag.clean | RecordFlag.tombstone)) === 0
    );
  }

  #writeSerialized(value: T): void {
    this.refuseUndefined(value, "use clear()");
    const { sink } = this.host;
    sink.reset();
    this.#serializer.serialize(value, sink);
    const { length } = sink;
    const { fixedBytes } = this.#serializer;
    if (fixedBytes !== undefined && fixedBytes !== length) {
      throw wrongLength(this.#serializer.fingerprint);
    }
    checkValueBytes(this.name, length);
    const isAbsent = this.#epoch === this.#epochs.value && this.#isAbsent;
    const row = this.address.root();
    const reference = this.buffer.reserve(row, RowKind.value, length, length, isAbsent);
    this.#epoch = 0;
    copyBytes(sink.data, length, this.buffer.u8, this.buffer.valueOffset(reference));
  }

  clear(): void {
    const isAbsent = this.#epoch === this.#epochs.value && this.#isAbsent;
    this.buffer.remove(this.address.root(), isAbsent);
    this.#epoch = 0;
  }
}

/** Copies few bytes faster than `set` with a view, and makes no garbage. */
export function copyBytes(
  from: Uint8Array,
  length: number,
  to: Uint8Array,
  offset: number,
): void {
  if (length > 128) {
    to.set(from.subarray(0, length), offset);
    return;
  }
  for (let index = 0; index < length; index++) to[offset + index] = from[index]!;
}

/** Refuses a function option that is not one. */
export function requireFunction(state: string, name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new InvalidArgumentError(`state "${state}": ${name} must be a function`);
}
