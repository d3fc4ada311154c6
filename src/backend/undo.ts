/** Clean-up steps, run in reverse. */
export class Undo {
  readonly #steps: (() => Promise<void> | void)[] = [];

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  /** Runs every step, whatever fails; failures join `first` in an AggregateError. */
  async run(first?: unknown): Promise<void> {
    const errors: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 0) return;
    if (first !== undefined) errors.unshift(first);
    if (errors.length === 1) throw errors[0];
    throw new AggregateError(errors, "closing failed in several places");
  }
}
