/** What a verification found. */
export interface Found {
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  /** The first differences, in words. */
  readonly first: readonly string[];
}

const FIRST_MAX = 20;

export class Differences {
  #lost = 0;
  #duplicated = 0;
  #wrong = 0;
  readonly #first: string[] = [];

  lost(what: string): void {
    this.#lost++;
    this.#note(`lost: ${what}`);
  }

  duplicated(what: string): void {
    this.#duplicated++;
    this.#note(`duplicated: ${what}`);
  }

  wrong(what: string): void {
    this.#wrong++;
    this.#note(`wrong: ${what}`);
  }

  found(): Found {
    const { lost, duplicated, wrong } = {
      lost: this.#lost,
      duplicated: this.#duplicated,
      wrong: this.#wrong,
    };
    return { lost, duplicated, wrong, first: this.#first };
  }

  #note(what: string): void {
    if (this.#first.length < FIRST_MAX) this.#first.push(what);
  }
}
