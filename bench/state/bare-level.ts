// Value operations on classic-level itself: `getSync`, and writes in batches of 1,000.
import { ClassicLevel } from "classic-level";
import { fold } from "../support/sequences.ts";
import type { Inputs } from "./inputs.ts";
import type { Call, Subject } from "./operations.ts";

const batchRows = 1000;
type Database = ClassicLevel<Uint8Array, Uint8Array>;

export class BareLevel implements Subject {
  private readonly _database: Database;
  private readonly _inputs: Inputs;
  private readonly _call: Call;
  private _batch: ReturnType<Database["batch"]>;
  private _rows = 0;
  private _write: Promise<void> | undefined;

  private constructor(database: Database, inputs: Inputs, call: Call) {
    this._database = database;
    this._inputs = inputs;
    this._call = call;
    this._batch = database.batch();
  }

  static async open(directory: string, inputs: Inputs, call: Call): Promise<BareLevel> {
    const database: Database = new ClassicLevel(directory, {
      keyEncoding: "view",
      valueEncoding: "view",
      cacheSize: 256 * 1_048_576,
      writeBufferSize: 64 * 1_048_576,
    });
    await database.open();
    return new BareLevel(database, inputs, call);
  }

  fill(first: number, end: number): void {
    for (let i = first; i < end; i++) this._put(bytesOf(this._inputs.ordered.at(i)), 0);
  }

  run(first: number, end: number): number {
    const { keys, values } = this._inputs;
    const call = this._call;
    let sum = 0;
    for (let i = first; i < end; i++) {
      const key = bytesOf(keys.at(i));
      if (call === "valueGet") sum += this._get(key) ?? 0;
      else if (call === "valueReadModifyWrite") this._put(key, (this._get(key) ?? 0) + 1);
      else this._put(key, values[i % 1_000_000]!);
    }
    return sum;
  }

  undo(first: number, end: number): void {
    for (let i = first; i < end; i++) {
      this._batch.del(bytesOf(this._inputs.keys.at(i)));
      this._rows++;
    }
  }

  fold(checksum: number, first: number, end: number): number {
    let folded = checksum;
    for (let i = first; i < end; i++) {
      folded = fold(folded, this._get(bytesOf(this._inputs.checked.at(i))));
    }
    return folded;
  }

  private _get(key: Uint8Array): number | undefined {
    const bytes = this._database.getSync(key);
    if (bytes === undefined) return undefined;
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0);
  }

  private _put(key: Uint8Array, value: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    this._batch.put(key, bytes);
    this._rows++;
  }

  settle(): Promise<void> | undefined {
    if (this._rows === 0) return undefined;
    this._rows = 0;
    this._write = this._batch.write();
    this._batch = this._database.batch();
    return this._write;
  }

  async close(): Promise<void> {
    await this._batch.close();
    await this._database.close();
  }
}

export const levelRunCalls: number = batchRows;

function bytesOf(key: number | string): Uint8Array {
  if (typeof key === "string") return Buffer.from(key, "latin1");
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeDoubleBE(key, 0);
  return bytes;
}
