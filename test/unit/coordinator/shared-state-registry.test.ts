import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { SharedStateRegistry } from "../../../src/coordinator/shared-state-registry.ts";
import type { TaskFiles } from "../../../src/coordinator/task-change.ts";
import { fileOf } from "../../support/shared-files.ts";

const broken = { code: "VARVE_INVARIANT" };
const id = (number: number): string => fileOf(number).id;

function files(base: number | undefined, lists: Partial<Record<string, number[]>>): TaskFiles {
  const { created = [], reused = [], released = [] } = lists;
  return { base, created: created.map(fileOf), reused: reused.map(id), released: released.map(id) };
}

/** What became discardable, as numbers. */
function gone(registry: SharedStateRegistry): number[] {
  return registry.takeDiscardable().map((one) => Number.parseInt(one, 16));
}

const byNumber = (a: number, b: number): number => a - b;

/** A checkpoint of one task, 0, on the one before. */
function take(
  registry: SharedStateRegistry,
  checkpointId: number,
  base: number | undefined,
  lists: Partial<Record<string, number[]>>,
): void {
  registry.begin(checkpointId, base);
  assert.ok(registry.register(checkpointId, 0, files(base, lists)));
  registry.complete(checkpointId);
}

describe("the registry of all tasks", () => {
  test("keeps a file while a retained checkpoint uses it, and knows its first and last user", () => {
    const registry = new SharedStateRegistry();
    take(registry, 10, undefined, { created: [1, 2] });
    take(registry, 20, 10, { created: [3], released: [1] });
    assert.deepEqual(registry.useOf(id(1)), { createdBy: 10, lastUsedBy: 10 });
    assert.deepEqual(registry.useOf(id(2)), { createdBy: 10, lastUsedBy: 20 });
    assert.deepEqual(registry.fileOf(id(3)), fileOf(3));
    registry.subsume(10);
    assert.deepEqual(gone(registry), [1]);
    assert.deepEqual([registry.fileOf(id(1)), registry.useOf(id(1))], [undefined, undefined]);
    assert.deepEqual(gone(registry), []);
  });

  test("lets an attempt use what it has pinned, also when nothing else uses it any more", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1] });
    registry.begin(2, undefined);
    registry.begin(3, undefined);
    assert.ok(registry.pin(3, [id(1)]));
    assert.ok(registry.register(2, 0, files(undefined, { created: [2] })));
    registry.complete(2);
    registry.subsume(1);
    assert.deepEqual(gone(registry), []);
    assert.ok(registry.register(3, 0, files(undefined, { reused: [1] })));
    registry.complete(3);
    registry.subsume(2);
    assert.deepEqual(gone(registry), [2]);
    assert.deepEqual(registry.useOf(id(1))?.lastUsedBy, 3);
  });

  test("keeps for a pinned checkpoint its own files only", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1] });
    take(registry, 2, 1, { created: [2] });
    take(registry, 3, 2, { created: [3], released: [1, 2] });
    take(registry, 4, 3, { created: [4], released: [3] });
    registry.subsume(2);
    assert.deepEqual(gone(registry), [2]); // 1 is pinned, and does not use it.
    registry.subsume(3);
    assert.deepEqual(gone(registry), [3]);
    registry.subsume(1);
    assert.deepEqual(gone(registry), [1]);
  });

  test("keeps the base of an attempt until the attempt ends", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1, 2] });
    registry.begin(2, 1);
    registry.begin(3, 1);
    registry.register(2, 0, files(1, { created: [3], released: [1, 2] }));
    registry.complete(2);
    registry.subsume(1);
    assert.deepEqual(gone(registry), []);
    assert.ok(registry.register(3, 0, files(1, { created: [4], released: [1] })));
    registry.complete(3);
    assert.deepEqual(gone(registry), [1]);
    registry.subsume(2);
    assert.deepEqual(gone(registry), [3]); // 2 came back with checkpoint 3.
    assert.ok(registry.has(id(2)));
  });

  test("refuses a snapshot whose base is gone, and gives back what it uploaded", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1] });
    take(registry, 2, 1, { created: [2], released: [1] });
    registry.begin(3, 2);
    registry.subsume(1);
    assert.deepEqual(gone(registry), [1]);
    assert.equal(registry.register(3, 0, files(1, { created: [3] })), false);
    assert.equal(registry.register(3, 1, files(undefined, { created: [4], reused: [1] })), false);
    registry.abort(3);
    assert.deepEqual(gone(registry), [3, 4]);
  });

  test("keeps what is pinned for an attempt, until the attempt ends", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1] });
    registry.begin(2, 1);
    registry.begin(3, 1);
    registry.register(2, 0, files(1, { created: [2] }));
    assert.equal(registry.pin(3, [id(2)]), false); // Not confirmed yet.
    registry.complete(2);
    assert.equal(registry.pin(3, [id(2)]), true);
    take(registry, 4, 2, { created: [4], released: [1, 2] });
    registry.subsume(1);
    registry.subsume(2);
    assert.deepEqual(gone(registry), []);
    registry.abort(3);
    assert.deepEqual(gone(registry).toSorted(byNumber), [1, 2]);
  });

  test("lets nobody build on what is not confirmed", () => {
    const registry = new SharedStateRegistry();
    registry.begin(1, undefined);
    registry.begin(2, undefined);
    registry.register(1, 0, files(undefined, { created: [1] }));
    assert.equal(registry.register(2, 0, files(undefined, { reused: [1] })), false);
    assert.throws(() => registry.begin(3, 1), broken);
  });

  test("keeps a file of an aborted attempt while another under way may use it", () => {
    const registry = new SharedStateRegistry();
    registry.begin(1, undefined);
    registry.begin(2, undefined);
    registry.register(1, 0, files(undefined, { created: [1, 2] }));
    registry.abort(1);
    assert.deepEqual(gone(registry), []);
    assert.ok(registry.register(2, 0, files(undefined, { created: [1] })));
    registry.complete(2);
    assert.deepEqual(gone(registry), [2]);
  });

  test("gives back what a late snapshot uploaded, unless it is in use", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1] });
    registry.registerLate(1, [fileOf(1), fileOf(2)]);
    assert.deepEqual(gone(registry), [2]);
    registry.registerLate(1, [fileOf(2)]); // Once more: deleting twice does no harm.
    assert.deepEqual(gone(registry), [2]);
  });

  test("keeps a file that goes from one task to another", () => {
    const registry = new SharedStateRegistry();
    registry.restore(5, [
      [0, [fileOf(1)]],
      [1, [fileOf(2)]],
    ]);
    registry.begin(6, 5); // One task takes over from two: a rescale.
    assert.ok(registry.register(6, 0, files(undefined, { reused: [1, 2], created: [3] })));
    registry.complete(6);
    registry.subsume(5);
    assert.deepEqual(gone(registry), []);
    take(registry, 7, 6, { released: [2] });
    registry.subsume(6);
    assert.deepEqual(gone(registry), [2]);
  });

  test("gives up everything at the end, but for what is still retained", () => {
    const registry = new SharedStateRegistry();
    take(registry, 1, undefined, { created: [1, 2] });
    take(registry, 2, 1, { created: [3], released: [2] });
    assert.throws(() => registry.subsume(2), broken);
    registry.retire();
    registry.retire();
    registry.subsume(2);
    assert.deepEqual(gone(registry), [3]);
    assert.throws(() => registry.begin(3, 1), broken);
    assert.equal(registry.fileCount, 2);
  });

  test("asserts the order of calls", () => {
    const registry = new SharedStateRegistry();
    take(registry, 5, undefined, { created: [1] });
    assert.throws(() => registry.begin(5, undefined), broken);
    registry.begin(6, 5);
    registry.register(6, 0, files(5, {}));
    assert.throws(() => registry.register(6, 0, files(5, {})), broken);
    assert.throws(() => registry.restore(7, []), broken);
    assert.throws(() => registry.retire(), broken);
    assert.throws(() => registry.register(6, 1, files(5, { released: [9] })), broken);
    registry.abort(6);
    for (const call of [
      () => registry.abort(6),
      () => registry.complete(6),
      () => registry.register(6, 1, files(5, {})),
      () => registry.subsume(6),
    ]) {
      assert.throws(call, broken);
    }
  });
});
