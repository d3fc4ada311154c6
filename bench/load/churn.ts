// Which record changes which row, so that the version of any row after any number of records can be
// computed without having kept anything. Three records of four go to one row in a hundred, the others
// go round all rows; each twentieth also begins a session and ends the oldest one.

const hotEvery = 100;
const hotOffset = 7;
const uniformEvery = 4;
const sessionEvery = 20;
/** Sessions that are open at a time. */
export const openSessions = 10_000;

/** Steps through 0 … count - 1 in an order that comes back only after all of them. */
class Round {
  readonly #count: number;
  readonly #stride: number;
  readonly #inverse: number;

  constructor(count: number) {
    this.#count = count;
    let stride = Math.max(1, Math.floor(count * 0.618));
    while (gcd(stride, count) !== 1) stride++;
    this.#stride = stride;
    this.#inverse = inverseOf(stride, count);
  }

  /** `step` below 2^53 / count. */
  at(step: number): number {
    return ((step % this.#count) * this.#stride) % this.#count;
  }

  /** How often the first `steps` steps met a number. */
  visits(number: number, steps: number): number {
    const first = (number * this.#inverse) % this.#count;
    return steps <= first ? 0 : Math.floor((steps - 1 - first) / this.#count) + 1;
  }
}

export class Churn {
  readonly rows: number;
  readonly #all: Round;
  readonly #hot: Round;

  /** At least 1,000 rows, at most 90,000,000: products stay exact. */
  constructor(rows: number) {
    this.rows = rows;
    this.#all = new Round(rows);
    this.#hot = new Round(Math.floor((rows - 1 - hotOffset) / hotEvery) + 1);
  }

  /** The row that a record changes. */
  rowOf(record: number): number {
    const uniform = Math.floor(record / uniformEvery);
    if (record % uniformEvery === 0) return this.#all.at(uniform);
    return this.#hot.at(record - uniform - 1) * hotEvery + hotOffset;
  }

  /** How often the first `records` records changed a row. */
  versionOf(row: number, records: number): number {
    const uniform = Math.ceil(records / uniformEvery);
    const visits = this.#all.visits(row, uniform);
    if (row % hotEvery !== hotOffset) return visits;
    return visits + this.#hot.visits((row - hotOffset) / hotEvery, records - uniform);
  }

  /** The session that a record begins, or undefined. */
  sessionOf(record: number): number | undefined {
    return record % sessionEvery === 0 ? record / sessionEvery : undefined;
  }

  /** Sessions begun by the first `records` records: the newest `openSessions` of them are open. */
  sessionsAfter(records: number): number {
    return Math.ceil(records / sessionEvery);
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** The number whose product with `value` is 1 modulo `modulus`: the extended Euclidean algorithm. */
function inverseOf(value: number, modulus: number): number {
  let [r, nextR] = [modulus, value];
  let [t, nextT] = [0, 1];
  while (nextR !== 0) {
    const quotient = Math.floor(r / nextR);
    [r, nextR] = [nextR, r - quotient * nextR];
    [t, nextT] = [nextT, t - quotient * nextT];
  }
  return t < 0 ? t + modulus : t;
}
