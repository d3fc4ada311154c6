/** Keeps what was used last, up to a total weight. Holds promises, so that two readers share one load. */
export class BoundedCache<V> {
  readonly #weightMax: number;
  readonly #entries = new Map<string, { readonly value: Promise<V>; weight: number }>();
  #weight = 0;

  constructor(weightMax: number) {
    this.#weightMax = weightMax;
  }

  /** The value of a key, loaded if it is not here. A load that fails is not kept. */
  get(key: string, load: () => Promise<V>, weigh: (value: V) => number): Promise<V> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key); // To the end: the last to go.
      this.#entries.set(key, known);
      return known.value;
    }
    const entry = { value: load(), weight: 0 };
    this.#entries.set(key, entry);
    entry.value.then(
      (value) => {
        if (this.#entries.get(key) !== entry) return; // Cleared, or pushed out, meanwhile.
        entry.weight = weigh(value);
        this.#weight += entry.weight;
        this.#shrink();
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry.value;
  }

  clear(): void {
    this.#entries.clear();
    this.#weight = 0;
  }

  #shrink(): void {
    for (const [key, { weight }] of this.#entries) {
      if (this.#weight <= this.#weightMax) return;
      this.#weight -= weight;
      this.#entries.delete(key);
    }
  }
}
