// Goal: every bound of key groups is where it is said to be, on both sides.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { KEY_GROUPS_MAX, keyGroupOf, resolveKeyGroups } from "../../../src/common/key-group.ts";

const refused = (range: Readonly<Record<string, unknown>>, message: RegExp): void => {
  assert.throws(() => resolveKeyGroups(range), { code: "VARVE_INVALID_ARGUMENT", message });
};

describe("key groups", () => {
  test("are 128, all of them, unless something else is said", () => {
    assert.deepEqual(resolveKeyGroups(undefined), { max: 128, first: 0, last: 127 });
    assert.deepEqual(resolveKeyGroups({}), { max: 128, first: 0, last: 127 });
    assert.deepEqual(resolveKeyGroups({ max: 1 }), { max: 1, first: 0, last: 0 });
    assert.deepEqual(resolveKeyGroups({ first: 5 }), { max: 128, first: 5, last: 127 });
  });

  test("are taken up to each of their bounds", () => {
    const most = KEY_GROUPS_MAX;
    for (const range of [
      { max: most, first: 0, last: most - 1 },
      { max: most, first: most - 1, last: most - 1 },
      { max: 128, first: 127, last: 127 },
      { max: 128, first: 0, last: 0 },
    ]) {
      assert.deepEqual(resolveKeyGroups(range), range);
    }
  });

  test("are refused beyond each of their bounds, and say which", () => {
    for (const max of [0, -1, 1.5, Number.NaN, Infinity, KEY_GROUPS_MAX + 1, "4"]) {
      refused({ max, first: 0, last: 0 }, /keyGroups.max must be an integer from 1 to 32768/);
    }
    for (const first of [-1, 0.5, Number.NaN, "0"]) refused({ first }, /must lie in 0\.\.127/);
    for (const last of [128, 126.5, Number.NaN, "9"]) refused({ last }, /must lie in 0\.\.127/);
    refused({ first: 8, last: 7 }, /reversed: first 8 is greater than last 7/);
  });

  test("of a hash are never negative", () => {
    assert.equal(keyGroupOf(-1, 128), 127);
    assert.equal(keyGroupOf(-2_147_483_648, 128), 0);
    assert.equal(keyGroupOf(300, 128), 44);
  });
});
