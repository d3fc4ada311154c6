import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  DISCARD_BATCH_MAX,
  addDiscards,
  newDiscardQueue,
  retryDiscard,
  settleDiscard,
  takeDiscard,
} from "../../../src/coordinator/discard-queue.ts";

describe("the queue of discards", () => {
  test("hands out bounded batches one at a time, metadata first", () => {
    const queue = newDiscardQueue();
    const files = Array.from({ length: DISCARD_BATCH_MAX + 1 }, (_, at) => `file ${at}`);
    addDiscards(queue, [1, 2], files);
    addDiscards(queue, [3], []);
    const sizes: number[][] = [];
    for (let batch = takeDiscard(queue); batch !== undefined; batch = takeDiscard(queue)) {
      assert.equal(takeDiscard(queue), undefined);
      sizes.push([batch.metadata.length, batch.files.length]);
      settleDiscard(queue, true);
    }
    assert.deepEqual(sizes, [
      [2, 0],
      [0, DISCARD_BATCH_MAX],
      [0, 1],
      [1, 0],
    ]);
    assert.equal(queue.backlog, 0);
  });

  test("lets nothing overtake what has failed, and repeats it at the next occasion", () => {
    const queue = newDiscardQueue();
    addDiscards(queue, [1], ["a"]);
    takeDiscard(queue);
    settleDiscard(queue, false);
    assert.equal(takeDiscard(queue), undefined);
    retryDiscard(queue);
    assert.deepEqual(takeDiscard(queue), { metadata: [1], files: [] });
    assert.deepEqual([queue.failures, queue.backlog], [1, 2]);
  });

  test("gives up and counts what does not fit", () => {
    const queue = newDiscardQueue();
    const many = Array.from({ length: 1_000_001 }, () => "file");
    addDiscards(queue, [], many);
    addDiscards(queue, [7], ["b", "c"]);
    assert.deepEqual([queue.backlog, queue.givenUp], [1_000_001, 3]);
  });

  test("asserts that an answer was asked for", () => {
    assert.throws(() => settleDiscard(newDiscardQueue(), true), { code: "VARVE_INVARIANT" });
  });
});
