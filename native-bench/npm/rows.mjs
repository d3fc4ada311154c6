import { readFileSync } from "node:fs";
import { fillBytes, fold, keysByGroup, rowKey } from "./inputs.mjs";

/** Rows of incompressible bytes, most of them not in memory. */
export class Rows {
  #engine;
  #assignment;
  #draws;
  #next = 0;

  constructor(engine, assignment) {
    this.#engine = engine;
    this.#assignment = assignment;
  }

  async load() {
    for (const key of keysByGroup(this.#assignment.keys)) {
      const value = Buffer.allocUnsafe(this.#assignment.valueBytes);
      fillBytes(value, key, 0);
      const written = this.#engine.put(rowKey(key), value);
      if (written !== undefined) await written;
    }
    await this.#engine.flush();
  }

  draw(path) {
    const file = readFileSync(path);
    this.#draws = new Int32Array(file.buffer, file.byteOffset, file.length / 4);
    this.#next = 0;
  }

  /** The first four bytes count. */
  async readModifyWrite(calls) {
    const start = performance.now();
    for (let call = 0; call < calls; call++) {
      const key = rowKey(this.#draws[this.#next]);
      if (++this.#next === this.#draws.length) this.#next = 0;
      const found = this.#engine.get(key);
      if (found === undefined) throw new Error("a row is lost");
      const value = Buffer.from(found);
      value.writeUInt32BE((value.readUInt32BE(0) + 1) >>> 0, 0);
      const written = this.#engine.put(key, value);
      if (written !== undefined) await written;
    }
    await this.#engine.flush();
    return { ops: calls, millis: performance.now() - start };
  }

  checksum({ every }) {
    let folded = 0;
    for (let key = 0; key < this.#assignment.keys; key += every) {
      const value = this.#engine.get(rowKey(key));
      for (let i = 0; i < this.#assignment.valueBytes; i++) folded = fold(folded, value?.[i]);
    }
    return folded;
  }

  async close() {
    await this.#engine.flush();
    await this.#engine.close();
  }
}
