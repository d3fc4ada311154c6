// What the drains see of the changelog: D4 of drain-controller.ts.
import type { ChangelogChain } from "./changelog-chain.ts";
import type { AppendGate } from "./drain-controller.ts";

export class ChainGate implements AppendGate {
  readonly #chain: () => ChangelogChain | undefined;

  /** `chain`: the one that goes on, or is ending; undefined before the first. */
  constructor(chain: () => ChangelogChain | undefined) {
    this.#chain = chain;
  }

  get appended(): number {
    return this.#chain()?.appended ?? Infinity;
  }

  cover(boundary: number): void {
    this.#chain()?.cover(boundary);
  }

  async settled(): Promise<void> {
    await this.#chain()?.settled();
  }

  wait(boundary: number, timeoutMs: number): boolean {
    return this.#chain()?.wait(boundary, timeoutMs) ?? true;
  }
}
