// One value per key and namespace: the row behind value, reducing and aggregating state. Hot.
// Guarded by bench/state. f64 and i64 are written straight into the record; others through the sink.
import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { CHUNK_UNITS_SHIFT, ROW_HEADER_SHIFT, RecordFlag } from "../format/row-record.ts";
import { RowKind } from "../format/row-value.ts";
import type { Epochs } from "../memory/epochs.ts";
import type { ChunkLedger } from "../memory/chunk-ledger.ts";
import { type RowIndex, findShortReference } from "../memory/row-index.ts";
import { wrongLength } from "./byte-sink.ts";
import type { KeyContext } from "./key-context.ts";
import { spread } from "./row-address.ts";
import { f64, i64 } from "./serializers.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

/** How values are written: in place as a double, in place as two words, or by the serializer. */
const Form = { f64: 1, i64: 2, serialized: 3 } as const;

/** See #unit. */
const ABSENT = -1;

const TWO_32 = 4_294_967_296;
/** Units from a record to its value if the row key takes 16 bytes. */
const SHORT_VALUE_UNITS = 4;
/** Word 1 of a dirty value record whose row key takes 16 bytes. */
const PLAIN_SHORT_VALUE: number = 16 | (RowKind.value << ROW_HEADER_SHIFT);

export abstract class ValueRowState<T> extends BufferedState {
  readonly #serializer: Serializer<T>;
  readonly #form: number;
  readonly #context: KeyContext;
  readonly #epochs: Epochs;
  readonly #index: RowIndex;
  readonly #ledger: ChunkLedger;
  readonly #i32: Int32Array;
  readonly #f64: Float64Array;
  readonly #hotReads: Float64Array;
  /** No namespaces: a number key gives the row key without the scratch area. */
  readonly #isDirect: boolean;
  readonly #seed: number;
  readonly #stateHigh: number;
  readonly #stateLow: number;
  // What the last access found: valid while the epoch is the same. #unit is the value's place if it
  // may be overwritten as it is, ABSENT if there is no row, else 0.
  #epoch = 0;
  #unit = 0;

  constructor(host: StateHost, schema: StateSchema, serializer: Serializer<T>) {
    super(host, schema);
    this.#serializer = serializer;
    const isF64 = (serializer as unknown) === f64;
    const isI64 = (serializer as unknown) === i64;
    this.#form = isF64 ? Form.f64 : isI64 ? Form.i64 : Form.serialized;
    this.#context = host.context;
    this.#epochs = host.context.epochs;
    this.#index = host.buffer.index;
    this.#ledger = host.buffer.ledger;
    this.#i32 = host.buffer.i32;
    this.#f64 = host.buffer.f64;
    this.#hotReads = host.buffer.counters;
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

  // The hot path is one function on purpose: V8 stops inlining after 460 bytes of bytecode, and
  // every call that stays costs 5 ns and the overlap of cache misses with the record before.
  protected read(): T | undefined {
    const context = this.#context;
    if (!context.isShort || !this.#isDirect) return this.#readSlowly();
    const index = this.#index;
    const i32 = this.#i32;
    const { slots, mask } = index;
    const { high, low } = context;
    const mixed = context.hash ^ this.#seed;
    const multiplied = Math.imul(mixed ^ (mixed >>> 16), 0x9e3779b1);
    const hash = multiplied ^ (multiplied >>> 15);
    let at = (hash >>> index.shift) << 1;
    for (;;) {
      const reference = slots[at + 1]!;
      if (reference === 0) return this.#readSlowly();
      const record = reference << 1;
      if (
        slots[at] === hash &&
        i32[record + 7] === low &&
        i32[record + 6] === high &&
        i32[record + 5] === (context.tagWord | this.#stateLow) &&
        i32[record + 4] === (context.groupWord | this.#stateHigh)
      ) {
        const word1 = i32[record + 1]!;
        const ledger = this.#ledger;
        // Active, a value, 16 bytes of key, neither clean nor a tombstone: one comparison.
        if (
          ledger.generation[reference >>> CHUNK_UNITS_SHIFT] !== ledger.active ||
          (word1 & ~RecordFlag.absentBelow) !== PLAIN_SHORT_VALUE
        ) {
          return this.#readSlowly();
        }
        this.#hotReads[0]!++;
        this.#epoch = this.#epochs.value;
        this.#unit = reference + SHORT_VALUE_UNITS;
        if (this.#form === Form.f64) return this.#f64[reference + SHORT_VALUE_UNITS] as T;
        return this.#readAt(reference + SHORT_VALUE_UNITS);
      }
      at = (at + 2) & mask;
    }
  }

  #readSlowly(): T | undefined {
    const unit = this.#locateSlowly();
    return unit === 0 ? undefined : this.#readAt(unit);
  }

  #readAt(unit: number): T | undefined {
    if (this.#form === Form.f64) return this.#f64[unit] as T;
    if (this.#form === Form.i64) {
      const i32 = this.#i32;
      return (i32[(unit << 1) + 1]! * TWO_32 + (i32[unit << 1]! >>> 0)) as T;
    }
    return this.#deserialize();
  }

  /** The newest record of the row if the key is a number and the row is in the buffer, else 0. */
  #findShort(): number {
    const context = this.#context;
    if (!context.isShort || !this.#isDirect) return 0;
    return findShortReference(
      this.#index,
      this.#i32,
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
      this.#unit = ABSENT;
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
    if (
      this.#form === Form.f64 &&
      this.#epoch === this.#epochs.value &&
      this.#unit > 0 &&
      typeof value === "number"
    ) {
      this.#f64[this.#unit] = value;
      return;
    }
    this.#writeSlowly(value);
  }

  #writeSlowly(value: T): void {
    if (this.#form === Form.serialized) {
      this.#writeSerialized(value);
      return;
    }
    if (typeof value !== "number" || (this.#form === Form.i64 && !Number.isSafeInteger(value))) {
      this.#serializer.serialize(value, this.host.sink); // Throws, with the reason.
    }
    let unit = this.#epoch === this.#epochs.value ? this.#unit : 0;
    if (unit <= 0) unit = this.#reserveNumber();
    if (this.#form === Form.f64) {
      this.#f64[unit] = value as number;
      return;
    }
    const i32 = this.#i32;
    i32[unit << 1] = value as number;
    i32[(unit << 1) + 1] = Math.floor((value as number) / TWO_32);
  }

  /** Unit of the 8 value bytes of a dirty record of the active generation. */
  #reserveNumber(): number {
    const isAbsent = this.#epoch === this.#epochs.value && this.#unit === ABSENT;
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
    const isAbsent = this.#epoch === this.#epochs.value && this.#unit === ABSENT;
    const row = this.address.root();
    const reference = this.buffer.reserve(row, RowKind.value, length, length, isAbsent);
    this.#epoch = 0;
    copyBytes(sink.data, length, this.buffer.u8, this.buffer.valueOffset(reference));
  }

  clear(): void {
    const isAbsent = this.#epoch === this.#epochs.value && this.#unit === ABSENT;
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
