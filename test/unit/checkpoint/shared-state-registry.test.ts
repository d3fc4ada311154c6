import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { SharedFile } from "../../../src/api/keyed-state-backend.ts";
import { SharedStateRegistry } from "../../../src/checkpoint/shared-state-registry.ts";
import { seededRandom } from "../../../src/environment/seeded-random.ts";

const file = (id: string): SharedFile => ({ id, lengthBytes: 1, sha256: id });
const ids = (files: readonly SharedFile[]): string[] => files.map(({ id }) => id).sort();
const broken = { code: "VARVE_INVARIANT" };

describe("the registry of shared files", () => {
  test("gives back a file when no retained checkpoint uses it any more", () => {
    const registry = new SharedStateRegistry();
    registry.register(file("a"), 10, true);
    registry.register(file("b"), 10, true);
    registry.confirm(10, 1);
    registry.register(file("b"), 20, false);
    registry.register(file("c"), 20, true);
    registry.confirm(20, 2);
    assert.deepEqual(ids(registry.subsume(1)), []);
    assert.deepEqual(ids(registry.subsume(2)), ["a"]);
    assert.deepEqual(ids(registry.subsume(3)), ["b", "c"]);
    assert.equal(registry.fileCount, 0);
  });

  test("gives back of an aborted attempt only what it created", () => {
    const registry = new SharedStateRegistry();
    registry.restore(file("old"), 1);
    registry.pin(file("old"), 20);
    registry.register(file("old"), 20, false);
    registry.register(file("new"), 20, true);
    assert.deepEqual(ids(registry.abort(20)), ["new"]);
    assert.deepEqual(ids(registry.abort(20)), []);
    assert.ok(registry.has("old"));
  });

  test("keeps a pinned file through subsumption, and gives it back afterwards", () => {
    const registry = new SharedStateRegistry();
    registry.restore(file("a"), 1);
    registry.pin(file("a"), 20);
    assert.deepEqual(registry.subsume(5), []);
    assert.deepEqual(registry.abort(20), []);
    assert.deepEqual(ids(registry.subsume(5)), ["a"]);
  });

  test("never shortens a life by a late registration", () => {
    const registry = new SharedStateRegistry();
    registry.restore(file("a"), 5);
    registry.restore(file("a"), 3);
    assert.deepEqual(registry.subsume(5), []);
  });

  test("refuses to build on what is unconfirmed, deleted or another content", () => {
    const registry = new SharedStateRegistry();
    registry.register(file("a"), 10, true);
    assert.throws(() => registry.register(file("a"), 20, false), broken);
    assert.throws(() => registry.pin(file("a"), 20), broken);
    assert.equal(registry.pin(file("b"), 20), false); // Not this store's: nothing to build on.
    assert.throws(() => registry.register(file("b"), 20, false), broken);
    assert.throws(() => registry.register({ ...file("a"), lengthBytes: 2 }, 10, true), broken);
    registry.register(file("a"), 10, true); // Repeating it changes nothing.
  });

  test("agrees with a model under random histories", () => {
    for (let seed = 0; seed < 50; seed++) {
      const random = seededRandom(seed);
      const registry = new SharedStateRegistry();
      const uses = new Map<number, readonly string[]>(); // By completion number.
      const live = new Set<string>();
      let [number, oldest, next] = [0, 1, 0];
      for (let attempt = 1; attempt <= 60; attempt++) {
        const reused = (uses.get(number) ?? []).filter(() => random() < 0.6);
        for (const id of reused) registry.pin(file(id), attempt);
        const created = Array.from({ length: 1 + Math.floor(random() * 3) }, () => `f${next++}`);
        for (const id of created) registry.register(file(id), attempt, true);
        for (const id of created) live.add(id);
        if (random() < 0.3) {
          for (const { id } of registry.abort(attempt)) assert.ok(live.delete(id));
          continue;
        }
        registry.confirm(attempt, ++number);
        uses.set(number, [...reused, ...created]);
        if (random() < 0.7) oldest = Math.max(oldest, number - 1);
        for (const { id } of registry.subsume(oldest)) assert.ok(live.delete(id));
        const needed = new Set<string>();
        for (let at = oldest; at <= number; at++) for (const id of uses.get(at)!) needed.add(id);
        for (const id of needed) assert.ok(live.has(id), `seed ${seed}: ${id} was given back`);
        assert.equal(live.size, registry.fileCount);
        const isExact = [...live].every((id) => needed.has(id));
        assert.ok(isExact, `seed ${seed}: more is kept than is needed`);
      }
    }
  });
});
