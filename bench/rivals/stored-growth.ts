// Bytes that come into a directory tree over a time, whoever writes them, those that are deleted again
// included: looks at it at short intervals and keeps the longest length of each file.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const betweenLooksMs = 50;

export class StoredGrowth {
  readonly #root: string;
  readonly #before: Map<string, number> = new Map();
  readonly #longest: Map<string, number> = new Map();
  #isEnded = false;
  #watching: Promise<void> | undefined;

  private constructor(root: string) {
    this.#root = root;
  }

  /** Counts from here. */
  static async watch(root: string): Promise<StoredGrowth> {
    const growth = new StoredGrowth(root);
    await growth.#look(growth.#before);
    growth.#watching = growth.#watch();
    return growth;
  }

  /** Bytes since `watch`. */
  async end(): Promise<number> {
    this.#isEnded = true;
    await this.#watching;
    await this.#look(this.#longest);
    let sum = 0;
    for (const [path, bytes] of this.#longest) {
      sum += Math.max(0, bytes - (this.#before.get(path) ?? 0));
    }
    return sum;
  }

  async #watch(): Promise<void> {
    while (!this.#isEnded) {
      await this.#look(this.#longest);
      await delay(betweenLooksMs);
    }
  }

  async #look(lengths: Map<string, number>): Promise<void> {
    const entries = await readdir(this.#root, { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const size = await stat(path).then(
        (stats) => stats.size,
        () => 0, // Deleted since.
      );
      lengths.set(path, Math.max(size, lengths.get(path) ?? 0));
    }
  }
}
