import { fold, rowKey, shuffled } from "./inputs.mjs";

const runCalls = 2000;

/** Value operations on numbers: valueGet, valueUpdate, valueRmw500k, valueRmw10k. */
export class Values {
  #engine;
  #operation;
  #order;
  #values = shuffled(1_000_000, 0, 44);
  #next = 0;
  #sum = 0;

  constructor(engine, { operation, keys }) {
    this.#engine = engine;
    this.#operation = operation;
    this.#order = shuffled(keys, 0, keys === 10_000 ? 45 : 42);
  }

  async prepare() {
    for (let key = 0; key < this.#order.length; key++) {
      await this.#put(key, this.#operation === "valueGet" ? key : 0);
    }
    await this.#engine.flush();
  }

  #get(key) {
    const value = this.#engine.get(rowKey(key));
    return value === undefined
      ? undefined
      : Buffer.from(value.buffer, value.byteOffset, 8).readDoubleBE(0);
  }

  #put(key, number) {
    const value = Buffer.allocUnsafe(8);
    value.writeDoubleBE(number, 0);
    return this.#engine.put(rowKey(key), value);
  }

  async #step() {
    for (let i = this.#next; i < this.#next + runCalls; i++) {
      const key = this.#order[i % this.#order.length];
      let written;
      if (this.#operation === "valueGet") this.#sum += this.#get(key);
      else if (this.#operation === "valueUpdate")
        written = this.#put(key, this.#values[i % 1_000_000]);
      else written = this.#put(key, this.#get(key) + 1);
      if (written !== undefined) await written;
    }
    this.#next += runCalls;
  }

  async runTo(calls) {
    while (this.#next < calls) await this.#step();
    return this.#next;
  }

  async repetition(millis) {
    const first = this.#next;
    const start = performance.now();
    let elapsed = 0;
    while (elapsed < millis) {
      await this.#step();
      elapsed = performance.now() - start;
    }
    return { ops: this.#next - first, millis: elapsed };
  }

  checksum({ keys, base }) {
    let state = 0;
    for (let i = 0; i < Math.min(keys, this.#order.length); i++) {
      const value = this.#get(this.#order[i]);
      state = fold(state, value === undefined ? undefined : value - base);
    }
    return { state, sum: this.#sum };
  }

  async close() {
    await this.#engine.flush();
    await this.#engine.close();
  }
}
