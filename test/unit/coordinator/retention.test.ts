import assert from "node:assert/strict";
import { describe, test } from "vitest";
import {
  oldestRetainedAt,
  selectDeletedOnCancel,
  selectSubsumed,
} from "../../../src/coordinator/retention.ts";
import type { RetainedCheckpoint } from "../../../src/coordinator/retention.ts";

/** "1 2p 3u": numbers; p is pinned, u the user's. */
function retained(text: string): RetainedCheckpoint[] {
  return text.split(" ").map((word) => {
    const completionNumber = Number.parseInt(word, 10);
    const owner = word.endsWith("u") ? "user" : "job";
    return {
      checkpointId: completionNumber * 10,
      completionNumber,
      owner,
      isPinned: word.endsWith("p"),
    };
  });
}

const numbers = (all: readonly RetainedCheckpoint[]): number[] =>
  all.map(({ completionNumber }) => completionNumber);

describe("retention", () => {
  test.each([
    ["1 2 3", 1, [1, 2]],
    ["1 2 3", 3, []],
    ["1 2 3", 2, [1]],
    ["1p 2 3", 1, [2]], // A pinned one stays.
    ["1 2 3p", 1, [1, 2]],
    ["1 2p 3", 2, [1]], // And pushes out none of the newest.
    ["1u 2 3", 1, [2]], // What is not claimed stays.
    ["1u 2u", 1, []],
    ["1u 2", 1, []], // The newest of the job's own stays as well.
  ])("of %s, keeping %i, gives up %j", (text, count, expected) => {
    assert.deepEqual(numbers(selectSubsumed(retained(text), count)), expected);
  });

  test("deletes on cancellation only if asked to, and never what is pinned or the user's", () => {
    const all = retained("1u 2p 3 4");
    assert.deepEqual(selectDeletedOnCancel(all, "retain-on-cancellation"), []);
    assert.deepEqual(numbers(selectDeletedOnCancel(all, "delete-on-cancellation")), [3, 4]);
  });

  test("foresees the oldest number that a completion will leave", () => {
    assert.equal(oldestRetainedAt([], 1, 1), 1);
    assert.equal(oldestRetainedAt(retained("1 2"), 3, 1), 3);
    assert.equal(oldestRetainedAt(retained("1 2"), 3, 2), 2);
    assert.equal(oldestRetainedAt(retained("1p 2"), 3, 1), 3); // Found by its pin.
    assert.equal(oldestRetainedAt(retained("1p 2 3p"), 4, 2), 3);
    assert.equal(oldestRetainedAt(retained("1u 2"), 3, 1), 1);
  });
});
