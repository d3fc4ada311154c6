/** A shared counter: while it stays the same, nothing that was looked up has moved or changed key. */
export class Epochs {
  /** A small integer for good: a larger one would be boxed. */
  value = 1;
  private readonly _caches: { forget(): void }[] = [];

  /** Has `cache` told when the counter starts again: what it remembers means nothing then. */
  add(cache: { forget(): void }): void {
    this._caches.push(cache);
  }

  advance(): void {
    if (++this.value >= 0x3fff_ffff) this._restart();
  }

  private _restart(): void {
    this.value = 1;
    for (const cache of this._caches) cache.forget();
  }
}
