// One value per key and namespace: the row behind value, reducing and aggregating state. Hot.
// Guarded by bench/state. f64 and i64 are written straight into the record; others through the sink.
import type { Serializer } from "../api/serializer.ts";
import type { StateSchema } from "../api/keyed-state-backend.ts";
import { CorruptionError, InvalidArgumentError } from "../errors.ts";
import { KeyTag } from "../format/key-codec.ts";
import { CHUNK_UNITS_SHIFT, ROW_HEADER_SHIFT, RecordFlag } from "../format/row-record.ts";
import { RowKind } from "../format/row-value.ts";
import type { Epochs } from "../memory/epochs.ts";
import { copyBytes } from "../memory/copy-bytes.ts";
import type { ChunkLedger } from "../memory/chunk-ledger.ts";
import type { RowIndex } from "../memory/row-index.ts";
import { wrongLength } from "./byte-sink.ts";
import { KeyContext } from "./key-context.ts";
import { spread } from "./row-address.ts";
import { f64, i64 } from "./serializers.ts";
import { BufferedState, type StateHost, checkValueBytes } from "./state-core.ts";

// Imports as constants of this module: V8 reads an import anew at each access, and folds these.
const spreadHash = spread;
const UNITS_SHIFT: number = CHUNK_UNITS_SHIFT;
const NUMBER_TAG_WORD: number = KeyTag.number << 24;
const NOT_ABSENT_BELOW: number = ~RecordFlag.absentBelow;

/** How values are written: in place as a double, in place as two words, or by the serializer. */
const FORM_F64 = 1;
const FORM_I64 = 2;
const FORM_SERIALIZED = 3;

/** As `_unit`: there is no row. */
const ABSENT = -1;

const TWO_32 = 4_294_967_296;
/** Units from a record to its value if the row key takes 16 bytes. */
const SHORT_VALUE_UNITS = 4;
/** Word 1 of a dirty value record whose row key takes 16 bytes. */
const NUMBER_BYTES = 8;
const PLAIN_SHORT_VALUE: number = 16 | (RowKind.value << ROW_HEADER_SHIFT);

/** For states with namespaces, whose row keys take more: no key is ever set in it. */
const NEVER_SHORT = new KeyContext({ max: 1, first: 0, last: 0 });

export abstract class ValueRowState<T> extends BufferedState {
  private readonly _serializer: Serializer<T>;
  private readonly _form: number;
  /** Where the rows are found whose keys take 16 bytes. */
  private readonly _context: KeyContext;
  private readonly _epochs: Epochs;
  private readonly _index: RowIndex;
  private readonly _ledger: ChunkLedger;
  private readonly _i32: Int32Array;
  private readonly _f64: Float64Array;
  private readonly _hotReads: Float64Array;
  private readonly _seed: number;
  private readonly _stateHigh: number;
  /** Second word of row keys whose key is a number. */
  private readonly _numberLow: number;
  // What the last access found: valid while the epoch is the same. _unit is the value's place if it
  // may be overwritten as it is, ABSENT if there is no row, else 0.
  private _epoch = 0;
  private _unit = 0;

  constructor(host: StateHost, schema: StateSchema, serializer: Serializer<T>) {
    super(host, schema);
    this._serializer = serializer;
    const isF64 = (serializer as unknown) === f64;
    const isI64 = (serializer as unknown) === i64;
    this._form = isF64 ? FORM_F64 : isI64 ? FORM_I64 : FORM_SERIALIZED;
    this._context = schema.namespaces ? NEVER_SHORT : host.context;
    this._epochs = host.context.epochs;
    this._index = host.buffer.index;
    this._ledger = host.buffer.ledger;
    this._i32 = host.buffer.i32;
    this._f64 = host.buffer.f64;
    this._hotReads = host.buffer.counters;
    this._seed = this.address.seed;
    this._stateHigh = this.address.stateHigh;
    this._numberLow = this.address.stateLow | NUMBER_TAG_WORD;
    this._epochs.add(this);
  }

  /** Forgets what the last access found. */
  forget(): void {
    this._epoch = 0;
  }

  // The shape of the next two was found by measuring: V8 inlines them into the loop over records.
  protected read(): T | undefined {
    const reference = this._context.isShort ? this._findActive() : 0;
    if (reference === 0) return this._readSlowly();
    this._hotReads[0]!++;
    const unit = reference + SHORT_VALUE_UNITS;
    this._unit = unit;
    this._epoch = this._epochs.value;
    return this._form === FORM_F64 ? (this._f64[unit] as T) : this._readAt(unit);
  }

  /**
   * The record, if it is a dirty one of the active generation; else 0. The key is a number, so that
   * row key takes 16 bytes. As findShortReference, the conditions in the order that fails soonest.
   */
  private _findActive(): number {
    const context = this._context;
    const i32 = this._i32;
    const { slots, mask, shift } = this._index;
    const hash = spreadHash(context.hash ^ this._seed);
    let at = (hash >>> shift) << 1;
    for (;;) {
      const reference = slots[at + 1]!;
      if (reference === 0) return 0;
      if (slots[at] === hash) {
        const record = reference << 1;
        if (
          i32[record + 7] === context.low &&
          i32[record + 6] === context.high &&
          i32[record + 5] === this._numberLow &&
          i32[record + 4] === (context.groupWord | this._stateHigh) &&
          (i32[record + 1]! & NOT_ABSENT_BELOW) === PLAIN_SHORT_VALUE
        ) {
          const ledger = this._ledger;
          return ledger.generation[reference >>> UNITS_SHIFT] === ledger.active ? reference : 0;
        }
      }
      at = (at + 2) & mask;
    }
  }

  private _readSlowly(): T | undefined {
    const unit = this._locateSlowly();
    return unit === 0 ? undefined : this._readAt(unit);
  }

  private _readAt(unit: number): T | undefined {
    if (this._form === FORM_F64) return this._f64[unit] as T;
    if (this._form === FORM_I64) {
      const low = this._i32[unit << 1]!;
      const high = this._i32[(unit << 1) + 1]!;
      if (high === low >> 31) return low as T; // Most; V8 keeps these as integers.
      return (high * TWO_32 + (low >>> 0)) as T;
    }
    return this._deserialize();
  }

  private _locateSlowly(): number {
    const { buffer } = this;
    const row = this.address.root();
    const reference = buffer.lookup(row);
    if (reference <= 0) {
      this._epoch = this._epochs.value;
      this._unit = ABSENT;
      return 0;
    }
    const unit = reference + 2 + ((row.length + 7) >>> 3);
    if (this._form !== FORM_SERIALIZED) this._checkNumber(reference, unit);
    this._remember(reference, unit);
    return unit;
  }

  /** A stored row may be anything; a number is read and overwritten where it is. */
  private _checkNumber(reference: number, unit: number): void {
    const { buffer } = this;
    const isNumber =
      buffer.header(reference) === RowKind.value &&
      buffer.valueBytes(reference) === NUMBER_BYTES &&
      (this._form === FORM_F64 || Number.isSafeInteger(this._readAt(unit)));
    if (isNumber) return;
    throw new CorruptionError(`a value of state "${this.name}" is no number`, "row", 0);
  }

  private _remember(reference: number, unit: number): void {
    const { buffer } = this;
    const isActive = buffer.ledger.generation[reference >>> UNITS_SHIFT] === buffer.ledger.active;
    const isClean = (buffer.i32[(reference << 1) + 1]! & RecordFlag.clean) !== 0;
    this._epoch = this._epochs.value;
    this._unit = isActive && !isClean ? unit : 0;
  }

  private _deserialize(): T {
    const { buffer } = this;
    const reference = buffer.find(this.address.root());
    if (buffer.header(reference) !== RowKind.value) {
      throw new CorruptionError(`a row of state "${this.name}" is not a value`, "row", 0);
    }
    const { source } = this.host;
    source.seek(buffer.valueOffset(reference), buffer.valueBytes(reference));
    const value = this._serializer.deserialize(source);
    if (source.remaining !== 0) {
      throw new CorruptionError(`a value of state "${this.name}" has bytes left over`, "row", 0);
    }
    return value;
  }

  protected write(value: T): void {
    const unit = this._unit;
    if (
      this._epoch === this._epochs.value &&
      unit > 0 &&
      this._form === FORM_F64 &&
      typeof value === "number"
    ) {
      this._f64[unit] = value;
    } else {
      this._writeSlowly(value);
    }
  }

  private _writeSlowly(value: T): void {
    if (this._form === FORM_SERIALIZED) {
      this._writeSerialized(value);
      return;
    }
    if (typeof value !== "number" || (this._form === FORM_I64 && !Number.isSafeInteger(value))) {
      this._serializer.serialize(value, this.host.sink); // Throws, with the reason.
    }
    const unit = this._numberUnit();
    if (this._form === FORM_F64) this._f64[unit] = value as number;
    else this._writeInteger(unit, value as number);
  }

  /** Where the number goes. */
  private _numberUnit(): number {
    if (this._epoch === this._epochs.value) {
      if (this._unit > 0) return this._unit;
    } else if (this._context.isShort) {
      const reference = this._findActive();
      if (reference !== 0) return reference + SHORT_VALUE_UNITS;
    }
    return this._reserveNumber();
  }

  private _writeInteger(unit: number, value: number): void {
    const i32 = this._i32;
    i32[unit << 1] = value;
    i32[(unit << 1) + 1] = Math.floor(value / TWO_32);
  }

  /** Unit of the 8 value bytes of a dirty record of the active generation. */
  private _reserveNumber(): number {
    const isAbsent = this._epoch === this._epochs.value && this._unit === ABSENT;
    const row = this.address.root();
    const reference = this.buffer.reserve(row, RowKind.value, 8, 8, isAbsent);
    const unit = reference + 2 + ((row.length + 7) >>> 3);
    this._remember(reference, unit);
    return unit;
  }

  private _writeSerialized(value: T): void {
    this.refuseUndefined(value, "use clear()");
    const { sink } = this.host;
    sink.reset();
    this._serializer.serialize(value, sink);
    const { length } = sink;
    const { fixedBytes } = this._serializer;
    if (fixedBytes !== undefined && fixedBytes !== length) {
      throw wrongLength(this._serializer.fingerprint);
    }
    checkValueBytes(this.name, length);
    const isAbsent = this._epoch === this._epochs.value && this._unit === ABSENT;
    const row = this.address.root();
    const reference = this.buffer.reserve(row, RowKind.value, length, length, isAbsent);
    this._epoch = 0;
    copyBytes(sink.data, 0, length, this.buffer.u8, this.buffer.valueOffset(reference));
  }

  clear(): void {
    const isAbsent = this._epoch === this._epochs.value && this._unit === ABSENT;
    this.buffer.remove(this.address.root(), isAbsent);
    this._epoch = 0;
  }
}

/** Refuses a function option that is not one. */
export function requireFunction(state: string, name: string, value: unknown): void {
  if (typeof value === "function") return;
  throw new InvalidArgumentError(`state "${state}": ${name} must be a function`);
}
