// Goal: a soak notices what grows, and takes nothing for growth that comes and goes.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { RESTART_EVERY, type Sample, compare, isWhole } from "../../reliability/soak/samples.ts";

const whole = 8 * RESTART_EVERY;
const flat: Sample = {
  residentBytes: 300_000_000,
  handles: 78,
  threads: 20,
  files: 47,
  storedFiles: 30,
  checkpoints: 0,
};

function samplesOf(rounds: number, at: (round: number) => Partial<Sample>): Sample[] {
  return Array.from({ length: rounds }, (_none, round) => ({ ...flat, ...at(round) }));
}

function growing(samples: readonly Sample[]): readonly string[] {
  const compared = compare(samples);
  assert.ok(compared !== undefined);
  return compared.filter(({ grows }) => grows).map(({ name }) => name);
}

describe("a soak", () => {
  test("compares whole cycles of restarts, and two of them at least", () => {
    assert.deepEqual([whole - 1, whole, whole + RESTART_EVERY, 12 * RESTART_EVERY].map(isWhole), [
      false,
      true,
      false,
      true,
    ]);
    assert.equal(compare(samplesOf(whole - 1, () => ({}))), undefined);
    assert.equal(compare(samplesOf(40, () => ({}))), undefined, "what a slow machine did in 20 s");
  });

  test("takes no files that come and go with each restart for growth, wherever it began", () => {
    for (let phase = 0; phase < RESTART_EVERY; phase++) {
      const saw = (round: number) => ({ storedFiles: 27 + ((round + phase) % RESTART_EVERY) });
      assert.deepEqual(growing(samplesOf(whole, saw)), []);
    }
  });

  test("takes no state that fills in the first quarter for growth", () => {
    const filling = (round: number) => ({ files: Math.min(47, 10 + 2 * round) });
    assert.deepEqual(growing(samplesOf(whole, filling)), []);
  });

  test.each([
    ["files", 2],
    ["storedFiles", 2],
    ["handles", 2],
    ["threads", 2],
    ["residentBytes", 20_000_000],
  ] as const)("notices %s that stay, %i more with each restart", (name, more) => {
    const leak = (round: number) => ({
      [name]: flat[name] + more * Math.floor(round / RESTART_EVERY) + (round % RESTART_EVERY),
    });
    assert.deepEqual(growing(samplesOf(whole, leak)), [name]);
  });
});
